"""The pool: who shares a session, when one ends, and how it is opened anew."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import pytest
from mcp.shared.exceptions import MCPError
from msgspec import Raw

from mcp_gateway.gateway.request import Request
from mcp_gateway.plugin import (
    AuthError,
    ConnectionDropped,
    Credentials,
    RequestNotSent,
    ServerTimeout,
    ServerUnavailable,
    TransportFault,
)
from mcp_gateway.protocol.envelope import ServerError
from mcp_gateway.protocol.raw_json import decode_members
from mcp_gateway.sessions.admission import Overloaded
from mcp_gateway.sessions.attempts import limit_inactivity
from mcp_gateway.sessions.exchange import Exchange
from mcp_gateway.sessions.pool import Pool
from mcp_gateway.sessions.session_key import SessionKey

from ..support.fake_channel import FakeServer
from ..support.fake_servers import EndingServer, Remote, text, tool, until
from ..support.gateway import spec

CALL = Request("tools/call", {"name": Raw(b'"x"')})
ALICE, BOB = Credentials.of({"Authorization": "alice"}), Credentials.of({"Authorization": "bob"})


@asynccontextmanager
async def pool_of(remote, idle=60.0, max_sessions=100):
    """Open a pool over one server called alpha."""
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            pool = Pool(tasks, {"alpha": remote}, idle, max_sessions=max_sessions)
            try:
                yield pool
            finally:
                await pool.close()
                tasks.cancel_scope.cancel()


async def use_session(pool, session_key, operation, **options):
    """Send one request as the pool's callers do."""
    return await pool.attempts(session_key, **options).run(operation)


async def connection(session):
    return session.connection


async def call(session):
    return decode_members(await Exchange(session=session).run(CALL))


@pytest.fixture
def alpha():
    return Remote(tool("x"), credentials=True)


# -- who shares


async def test_equal_credentials_share_a_session_and_others_never_do(alpha):
    one = spec()
    async with pool_of(alpha) as pool:
        first = await use_session(pool, SessionKey(one, ALICE), connection)
        assert await use_session(pool, SessionKey(one, Credentials.of({"Authorization": "alice"})), connection) is first
        assert await use_session(pool, SessionKey(one, BOB), connection) is not first
    assert alpha.opened == [{"Authorization": "alice"}, {"Authorization": "bob"}]


async def test_a_client_of_a_stateful_server_has_a_session_of_its_own(alpha):
    one = spec(stateful=True)
    async with pool_of(alpha) as pool:
        mine = await use_session(pool, SessionKey(one, client="me"), connection)
        assert await use_session(pool, SessionKey(one, client="me"), connection) is mine
        assert await use_session(pool, SessionKey(one, client="you"), connection) is not mine
    assert len(alpha.opened) == 2


async def test_a_client_that_leaves_takes_its_sessions_with_it(alpha):
    one = spec(stateful=True)
    async with pool_of(alpha) as pool:
        for client in ("me", "you"):
            await use_session(pool, SessionKey(one, client=client), connection)
        pool.forget_client("me")
        await until(lambda: alpha.open == 1)
        await use_session(pool, SessionKey(one, client="you"), connection)
    assert len(alpha.opened) == 2


async def test_a_server_that_ends_at_server_discover_is_asked_so_only_once():
    server, one = EndingServer(tool("x"), credentials=True), spec()
    async with pool_of(server) as pool:
        await use_session(pool, SessionKey(one, ALICE), connection)
        await use_session(pool, SessionKey(one, BOB), connection)
    assert [headers["Authorization"] for headers in server.opened] == ["alice", "alice", "bob"]


async def test_many_at_once_open_one_session(alpha):
    one, connections = spec(), []
    async with pool_of(alpha) as pool:

        async def open_one():
            connections.append(await use_session(pool, SessionKey(one), connection))

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(open_one)
    assert len(alpha.opened) == 1
    assert len(set(map(id, connections))) == 1


async def test_many_at_once_all_learn_why_there_is_no_session(alpha):
    alpha.refusal = OSError("no route")
    one, errors = spec(), []
    async with pool_of(alpha) as pool:

        async def open_one():
            with pytest.raises(ServerUnavailable, match="OSError: no route"):
                await use_session(pool, SessionKey(one), connection)
            errors.append(1)

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(open_one)
    assert len(errors) == 5
    assert len(alpha.opened) == 1


async def test_a_caller_that_gives_up_does_not_end_the_opening_for_the_others(alpha):
    one = spec()
    async with pool_of(alpha) as pool:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(use_session, pool, SessionKey(one), connection)
            await until(lambda: alpha.opened)
            tasks.cancel_scope.cancel()
        await use_session(pool, SessionKey(one), connection)
    assert len(alpha.opened) == 1


# -- when it ends


async def test_a_session_that_died_is_opened_anew_at_the_next_use(alpha):
    one = spec()
    async with pool_of(alpha) as pool:
        first = await use_session(pool, SessionKey(one), connection)
        await alpha.die()
        await until(lambda: not pool._shared.sessions)
        assert await use_session(pool, SessionKey(one), connection) is not first
    assert len(alpha.opened) == 2


async def test_a_session_that_ends_during_a_call_is_an_error_that_names_the_server(alpha):
    async def die(_):
        await alpha.die()
        await anyio.sleep_forever()

    alpha.answers["x"] = die
    async with pool_of(alpha) as pool:
        with pytest.raises(ServerUnavailable, match=r"server 'alpha' .*closed the connection"):
            await use_session(pool, SessionKey(spec()), call)


async def test_a_session_that_the_server_has_forgotten_is_replaced_and_the_call_is_made_again():
    alpha, results = FakeServer(faults=[MCPError(TransportFault.SESSION_LOST, "404")]), []
    async with pool_of(alpha) as pool, anyio.create_task_group() as tasks:

        async def one():
            results.append(await use_session(pool, SessionKey(spec()), call))

        tasks.start_soon(one)
        (await alpha.next_request(2)).respond(text("done"))
    assert results == [text("done")]
    assert (len(alpha.opened), len(alpha.requests)) == (2, 2)


class Dropping(Remote):
    """Dies at the first so many calls."""

    def __init__(self, times):
        super().__init__(tool("x"))
        self.left = times
        self.answers["x"] = self._die

    async def _die(self, _):
        if self.left:
            self.left -= 1
            await self.die()
            await anyio.sleep_forever()
        return text("done")


async def test_what_may_be_repeated_is_sent_again_once_if_the_connection_broke():
    alpha = Dropping(times=1)
    async with pool_of(alpha) as pool:
        answer = await use_session(pool, SessionKey(spec(max_retries=1)), call, repeatable=True)
        assert answer["content"] == text("done")["content"]
    assert (len(alpha.opened), len(alpha.calls)) == (2, 2)


@pytest.mark.parametrize("times, repeatable, retries", [(1, False, 3), (9, True, 3), (1, True, 0)])
async def test_else_it_is_said_that_nobody_knows_whether_it_was_carried_out(times, repeatable, retries):
    alpha = Dropping(times)
    async with pool_of(alpha) as pool:
        with pytest.raises(ConnectionDropped, match=r"server 'alpha' .* whether the request was carried out is not kn"):
            await use_session(pool, SessionKey(spec(max_retries=retries)), call, repeatable=repeatable)
    assert len(alpha.calls) == (2 if repeatable and retries else 1)


@pytest.mark.parametrize(
    "unsent", [RequestNotSent("refused"), MCPError(TransportFault.UNREACHABLE, "refused", {"sent": False})]
)
async def test_what_never_reached_the_server_is_sent_again_as_often_as_the_configuration_says(unsent):
    alpha = FakeServer(faults=[unsent] * 9)
    async with pool_of(alpha) as pool:
        with pytest.raises(RequestNotSent, match="server 'alpha' cannot be reached: refused"):
            await use_session(pool, SessionKey(spec(max_retries=2)), call)
        assert len(alpha.requests) == 3
        assert [session.breaker.failures for session in pool._kept] == [1]


async def test_a_session_that_is_lost_twice_is_an_error():
    alpha = FakeServer(faults=[MCPError(TransportFault.SESSION_LOST, "404")] * 9)
    async with pool_of(alpha) as pool:
        with pytest.raises(ServerUnavailable, match="server 'alpha' has lost the session: 404"):
            await use_session(pool, SessionKey(spec()), call)
    assert len(alpha.requests) == 2


@pytest.mark.parametrize(
    "code, error, said",
    [
        (TransportFault.UNREACHABLE, ConnectionDropped, "server 'alpha' cannot be reached: boom"),
        (TransportFault.UNAUTHORIZED, AuthError, "server 'alpha' wants credentials: boom; pass auth_header"),
        (-32050, MCPError, "boom"),
    ],
)
async def test_an_answer_of_the_transports_is_told_apart_from_the_servers_own(code, error, said):
    alpha = FakeServer(faults=[MCPError(code, "boom")])
    async with pool_of(alpha) as pool:
        with pytest.raises(error, match=said) as caught:
            await use_session(pool, SessionKey(spec()), call)
    assert not isinstance(caught.value, ServerError)
    assert len(alpha.requests) == 1


async def test_refused_credentials_are_told_from_missing_ones():
    alpha = FakeServer(faults=[MCPError(TransportFault.UNAUTHORIZED, "HTTP 401")])
    async with pool_of(alpha) as pool:
        with pytest.raises(AuthError, match="server 'alpha' refused the credentials: HTTP 401; check its auth_headers"):
            await use_session(pool, SessionKey(spec(), ALICE), call)


@pytest.mark.parametrize("code", [*TransportFault, -32000, -32603, 0])
@pytest.mark.parametrize("data", [None, {"sent": False}, {"status": 404}])
async def test_a_servers_own_error_is_its_own_answer_whatever_its_code_and_is_not_sent_again(alpha, code, data):
    """A server that says what a transport says, or what the SDK says of a closed connection, must not be believed."""
    alpha.answers["x"] = MCPError(code, "its own words", data)
    async with pool_of(alpha) as pool:
        with pytest.raises(ServerError) as caught:
            await use_session(pool, SessionKey(spec(max_retries=3)), call, repeatable=True)
        assert [session.breaker.failures for session in pool._kept] == [0]
    error = caught.value.error
    assert (error.code, error.message, error.data) == (code, "its own words", data)
    assert (len(alpha.calls), len(alpha.opened)) == (1, 1)


async def test_a_server_that_is_silent_is_named_with_the_setting_to_raise(alpha):
    async def silent(_):
        await anyio.sleep_forever()

    alpha.answers["x"] = silent
    async with pool_of(alpha) as pool:
        with pytest.raises(ServerTimeout) as caught:
            await use_session(pool, SessionKey(spec(timeout=0.05)), call)
    assert str(caught.value) == (
        "server 'alpha' gave no answer within 0.05 s (its \"timeout\"); "
        'raise that, or set its "call_timeout", if it needs longer'
    )


async def test_a_list_of_a_server_that_shows_that_it_is_at_work_is_waited_for(alpha):
    async with pool_of(alpha) as pool:

        async def operation(session):
            with limit_inactivity(session) as (_, inactivity):
                began = anyio.current_time()
                while anyio.current_time() - began < 0.8:
                    inactivity.reset()
                    await anyio.lowlevel.checkpoint()
            return "done"

        assert await use_session(pool, SessionKey(spec(timeout=0.5)), operation) == "done"


async def test_progress_keeps_it_alive_up_to_its_last_bound(alpha):
    async with pool_of(alpha) as pool:

        async def operation(session):
            with limit_inactivity(session) as (_, inactivity):
                while True:
                    inactivity.reset()
                    await anyio.lowlevel.checkpoint()

        with pytest.raises(ServerTimeout, match=r"has not come to an end within 0.5 s; raise its \"max_call_time\""):
            await use_session(pool, SessionKey(spec(timeout=0.2, max_call_time=0.5)), operation)


async def test_an_unused_session_of_ones_own_is_closed_after_a_while(alpha):
    async with pool_of(alpha, idle=0.05) as pool:
        await use_session(pool, SessionKey(spec(), ALICE), connection)
        [session] = pool._kept
        await session.gone.wait()
        assert (alpha.open, pool._shared.sessions) == (0, {})


async def test_a_shared_session_stays_however_long_it_is_unused(alpha):
    one = spec()
    async with pool_of(alpha, idle=0.01) as pool:
        await use_session(pool, SessionKey(one), connection)
        await use_session(pool, SessionKey(one, ALICE), connection)
        await until(lambda: alpha.open == 1)
        await use_session(pool, SessionKey(one), connection)
    assert alpha.opened == [{}, {"Authorization": "alice"}]


async def test_a_session_that_is_in_use_is_not_idle(alpha):
    may_go = anyio.Event()

    async def wait(_):
        await may_go.wait()
        return text("done")

    alpha.answers["x"] = wait
    one, others = spec(), spec("alpha")
    async with pool_of(alpha, idle=0.02) as pool, anyio.create_task_group() as tasks:
        tasks.start_soon(use_session, pool, SessionKey(one, ALICE), call)
        await until(lambda: alpha.calls)
        await use_session(pool, SessionKey(others, BOB), connection)
        await until(lambda: alpha.open == 1)  # the unused one went, though it came later
        may_go.set()
    assert alpha.opened == [{"Authorization": "alice"}, {"Authorization": "bob"}]


async def test_the_longest_unused_session_makes_room_for_a_new_one(alpha):
    one = spec(stateful=True)
    async with pool_of(alpha, max_sessions=2) as pool:
        for client in ("a", "b", "a", "c"):
            await use_session(pool, SessionKey(one, client=client), connection)
        assert {session_key.client for session_key in pool._shared.sessions} == {"a", "c"}
        await until(lambda: alpha.open == 2)


async def test_there_is_no_room_while_all_sessions_are_in_use(alpha):
    one, may_go = spec(stateful=True), anyio.Event()

    async def hold(_):
        await may_go.wait()

    async with pool_of(alpha, max_sessions=1) as pool, anyio.create_task_group() as tasks:
        tasks.start_soon(use_session, pool, SessionKey(one, client="a"), hold)
        await until(lambda: alpha.open)
        with pytest.raises(
            Overloaded, match=r"server 'alpha': all of its 1 sessions are in use .*MAX_SESSIONS.*try again"
        ):
            await use_session(pool, SessionKey(one, client="b"), connection)
        may_go.set()


async def test_closing_ends_every_session(alpha):
    one = spec(stateful=True)
    async with pool_of(alpha) as pool:
        for client in ("a", "b", "c"):
            await use_session(pool, SessionKey(one, client=client), connection)
        assert alpha.open == 3
        await pool.close()
        assert (alpha.open, pool._kept) == (0, set())


async def test_what_a_server_announces_is_forwarded_with_its_name():
    alpha, changes = Remote(tool("x"), handshake=True), []
    async with pool_of(alpha) as pool:
        pool.events.server_list_changed.subscribe(lambda key, method, _: changes.append((key.spec.name, method)))
        await use_session(pool, SessionKey(spec()), connection)
        await alpha.announce()
        await until(lambda: changes)
    assert changes == [("alpha", "notifications/tools/list_changed")]


class ModernOnly(FakeServer):
    """A server that refuses `initialize`."""

    def _answer(self, method):
        return {"error": {"code": -32022, "message": "no"}} if method == "initialize" else super()._answer(method)


async def test_a_server_that_no_longer_needs_initialize_first_is_tried_in_the_usual_way_again():
    async with pool_of(ModernOnly()) as pool:
        pool.connections.record(spec(), initialize_first=True)
        assert (await use_session(pool, SessionKey(spec()), connection)).modern
        assert not pool.connections.find(spec()).initialize_first


async def test_a_server_that_needs_initialize_first_gets_it_at_each_later_session():
    server = EndingServer(tool("x"))
    async with pool_of(server) as pool:
        await use_session(pool, SessionKey(spec(), ALICE), connection)
        await use_session(pool, SessionKey(spec(), BOB), connection)
        assert len(server.opened) == 3
