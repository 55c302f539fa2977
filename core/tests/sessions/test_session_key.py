"""Who shares a session with a server that hears once a session what its clients can do."""

from __future__ import annotations

import anyio
import pytest

from mcp_gateway.client.in_flight import InFlightRequest
from mcp_gateway.plugin import Credentials
from mcp_gateway.protocol.client_channel import ClientChannel, encode_capabilities
from mcp_gateway.sessions.session_key import SessionKey

from ..sessions.test_pool import connection, pool_of, use_session
from ..support.fake_servers import Remote, text, tool, until
from ..support.gateway import spec

ROOTS, FORMS = encode_capabilities({"roots": {}}), encode_capabilities({"elicitation": {"form": {}}})
ONE = spec()


def session_key(client, capabilities=ROOTS, one=ONE):
    return SessionKey(one, Credentials(), capabilities=capabilities, behalf=client)


def told(session):
    return session.router.capabilities


async def ask_roots(ctx):
    answer = await ctx.session._request_outbound.send_raw_request("roots/list", {})
    return text(str(answer["roots"]))


def calling(client, roots):
    """Return what calls a tool for a client that answers with these roots."""

    async def answer(*_):
        return {"roots": roots}

    async def call(connection, inactivity):
        exchange = InFlightRequest(client, ClientChannel(ask=answer), inactivity)
        return await connection.request("tools/call", {"name": "x"}, exchange=exchange)

    return call


@pytest.fixture
def old():
    return Remote(tool("x"), handshake=True)


async def test_a_handshake_era_server_is_told_what_its_clients_can_do_and_nothing_else(old):
    async with pool_of(old) as pool:
        assert told(await use_session(pool, session_key("ann"), connection)) == {"roots": {}}
        assert told(await use_session(pool, session_key("bob", FORMS), connection)) == {"elicitation": {"form": {}}}
        assert told(await use_session(pool, session_key("eve", ""), connection)) == {}


async def test_clients_that_can_do_the_same_share_a_session(old):
    async with pool_of(old) as pool:
        first = await use_session(pool, session_key("ann"), connection)
        assert await use_session(pool, session_key("bob"), connection) is first
        assert await use_session(pool, session_key("bob", FORMS), connection) is not first


async def test_a_modern_servers_session_is_for_all_of_them():
    new = Remote(tool("x"))
    async with pool_of(new) as pool:
        first = await use_session(pool, session_key("ann"), connection)
        assert await use_session(pool, session_key("bob", FORMS), connection) is first
        assert await use_session(pool, session_key("eve", ""), connection) is first
    assert len(new.opened) == 1


async def test_a_server_that_has_asked_gives_every_client_a_session_of_its_own(old):
    old.answers["x"] = ask_roots
    async with pool_of(old) as pool:
        assert await use_session(pool, session_key("ann"), calling("ann", ["a"])) == text("['a']")
        assert await use_session(pool, session_key("bob"), calling("bob", ["b"])) == text("['b']")
        assert await use_session(pool, session_key("ann"), calling("ann", ["a"])) == text("['a']")
    assert len(old.opened) == 2


async def test_a_client_that_may_be_several_people_gets_a_session_for_each_request_at_a_time(old):
    gates = {name: anyio.Event() for name in "ab"}

    async def wait_and_ask(ctx):
        await gates[ctx.params["arguments"]["who"]].wait()
        return await ask_roots(ctx)

    async def both(pool, heard):
        async def one(who):
            async def answer(*_):
                return {"roots": [who]}

            async def call(connection, inactivity):
                exchange = InFlightRequest("anyone", ClientChannel(ask=answer), inactivity)
                return await connection.request(
                    "tools/call", {"name": "x", "arguments": {"who": who}}, exchange=exchange
                )

            heard[who] = await use_session(pool, session_key("anyone"), call)

        async with anyio.create_task_group() as tasks:
            for who in "ab":
                tasks.start_soon(one, who)
            await until(lambda: len(old.calls) % 2 == 0 and old.calls)
            for gate in gates.values():
                gate.set()

    old.answers["x"] = ask_roots
    async with pool_of(old) as pool:
        await use_session(pool, session_key("anyone"), calling("anyone", ["first"]))
        old.calls.clear()
        old.answers["x"], heard = wait_and_ask, {}
        await both(pool, heard)
    assert heard == {"a": text("['a']"), "b": text("['b']")}


async def test_the_session_that_only_the_gateway_has_used_gives_way_to_one_that_clients_use(old):
    async with pool_of(old) as pool:
        await use_session(pool, SessionKey(ONE), connection)
        mine = await use_session(pool, session_key("ann"), connection)
        await until(lambda: old.open == 1)
        assert await use_session(pool, SessionKey(ONE), connection) is mine, "the gateway itself uses what there is"


async def test_a_session_that_a_client_without_capabilities_uses_stays(old):
    async with pool_of(old) as pool:
        plain = await use_session(pool, session_key("eve", ""), connection)
        await use_session(pool, session_key("ann"), connection)
        assert await use_session(pool, session_key("eve", ""), connection) is plain
        assert old.open == 2


async def test_a_client_that_leaves_takes_the_session_that_only_it_has_used(old):
    old.answers["x"] = ask_roots
    async with pool_of(old) as pool:
        pool.way_to = {"ann": ClientChannel()}.get
        await use_session(pool, session_key("ann"), calling("ann", []))
        pool.forget_client("ann")
        await until(lambda: old.open == 0)


async def test_the_era_of_a_server_is_found_out_by_opening_a_session(old):
    async with pool_of(old) as pool:
        assert await pool.is_modern(session_key("ann")) is False
        assert await pool.is_modern(session_key("ann")) is False
    assert len(old.opened) == 1
