"""The start of a server: one attempt, which everybody waits for, and which says how far it is."""

from __future__ import annotations

import anyio
import pytest

from mcp_gateway.catalog.server_health import State
from mcp_gateway.client.errors import StillStarting
from mcp_gateway.config.time_limits import TimeKeys, TimeSettings, settle_time_limits
from mcp_gateway.plugin import Credentials, ServerUnavailable
from mcp_gateway.sessions.session_key import SessionKey

from ..support.fake_servers import EndingServer, SlowServer, tool, until
from ..support.gateway import spec
from .test_pool import connection, pool_of, use_session
from .test_session import make_session, open_session

CAPABLE = '{"elicitation":{}}'
SHORT = settle_time_limits(TimeKeys(call_timeout=0.05, start_timeout=60), TimeSettings())


@pytest.fixture
def slow():
    return SlowServer(tool("x"))


def outcome_of(tasks, pool, session_key, **options):
    """Use a session in a task; return the list that will hold what comes of it."""
    found = []

    async def run():
        try:
            found.append(await use_session(pool, session_key, connection, **options))
        except ServerUnavailable as error:
            found.append(error)

    tasks.start_soon(run)
    return found


async def test_a_call_that_waits_no_longer_leaves_the_start_alone(slow):
    slow.line = "\x1b[1mDownloading\x1b[0m \x1b]0;title\x0740%"
    one = spec(time_limits=SHORT)
    async with pool_of(slow) as pool:
        with pytest.raises(StillStarting) as caught:
            await use_session(pool, SessionKey(one), connection, patience=SHORT.call)
        assert str(caught.value) == (
            "server 'alpha' is starting: Downloading 40%; it has had 0 s of 60 s (its \"start_timeout\"), "
            'and this request waited 0.05 s (its "call_timeout"); try again in a moment'
        )
        slow.may_start.set()
        assert await use_session(pool, SessionKey(one), connection) is not None
    assert len(slow.opened) == 1


async def test_without_a_line_it_is_just_starting(slow):
    async with pool_of(slow) as pool:
        with pytest.raises(StillStarting, match=r"^server 'alpha' is starting; it has had 0 s of 60 s"):
            await use_session(pool, SessionKey(spec(time_limits=SHORT)), connection, patience=SHORT.call)


@pytest.mark.parametrize("handshake", [False, True], ids=["modern", "handshake"])
async def test_clients_with_other_capabilities_wait_for_the_first_start(handshake):
    slow, one = SlowServer(tool("x"), handshake=handshake), spec()
    async with pool_of(slow) as pool, anyio.create_task_group() as tasks:
        first = outcome_of(tasks, pool, SessionKey(one))
        await anyio.wait_all_tasks_blocked()
        second = outcome_of(tasks, pool, SessionKey(one, capabilities=CAPABLE, behalf="you"))
        await anyio.wait_all_tasks_blocked()
        assert len(slow.opened) == 1
        slow.may_start.set()
        await until(lambda: first and second)
        assert (first[0] is second[0]) is not handshake
    assert len(slow.opened) == (2 if handshake else 1)


async def test_who_waits_for_the_first_start_hears_why_it_failed(slow):
    one = spec(timeout=0.2)
    async with pool_of(slow) as pool, anyio.create_task_group() as tasks:
        first = outcome_of(tasks, pool, SessionKey(one))
        await anyio.wait_all_tasks_blocked()
        second = outcome_of(tasks, pool, SessionKey(one, capabilities=CAPABLE, behalf="you"))
        await until(lambda: first and second)
        assert str(first[0]) == str(second[0])
        assert "did not start within 0.2 s" in str(first[0])
    assert len(slow.opened) == 1


async def test_to_learn_the_era_no_second_process_is_started(slow):
    one, eras = spec(), []
    async with pool_of(slow) as pool, anyio.create_task_group() as tasks:
        outcome_of(tasks, pool, SessionKey(one))
        await anyio.wait_all_tasks_blocked()

        async def ask():
            eras.append(await pool.is_modern(SessionKey(one, capabilities=CAPABLE, behalf="you")))

        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        slow.may_start.set()
        await until(lambda: eras)
    assert (eras, len(slow.opened)) == ([True], 1)


async def test_sessions_with_other_credentials_do_not_wait():
    slow, one = SlowServer(tool("x"), credentials=True), spec()
    async with pool_of(slow) as pool, anyio.create_task_group() as tasks:
        outcome_of(tasks, pool, SessionKey(one, Credentials.of({"Authorization": "alice"})))
        outcome_of(tasks, pool, SessionKey(one, Credentials.of({"Authorization": "bob"})))
        await until(lambda: len(slow.opened) == 2)
        slow.may_start.set()


async def test_a_server_that_leaves_the_configuration_is_not_waited_for(slow):
    one = spec()
    async with pool_of(slow) as pool, anyio.create_task_group() as tasks:
        waiting = outcome_of(tasks, pool, SessionKey(one))
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(3):
            await pool.close_server(one)
        await until(lambda: waiting)
        assert "try again" in str(waiting[0])
        assert slow.open == 0


async def test_the_pool_shows_the_start_of_a_server_without_another_session(slow):
    one = spec(stateful=True)
    async with pool_of(slow) as pool, anyio.create_task_group() as tasks:
        states = pool.breakers.states
        states.mark("alpha", State.STARTING)
        slow.line = "Downloading"
        outcome_of(tasks, pool, SessionKey(one, client="me"))
        await until(lambda: states["alpha"].reason == "Downloading")
        assert pool.find_start(one) is not None
        slow.may_start.set()
        await until(lambda: states["alpha"].reason == "")
        assert pool.find_start(one) is None
        slow.may_start = anyio.Event()
        outcome_of(tasks, pool, SessionKey(one, client="you"))
        await until(lambda: len(slow.opened) == 2)
        assert (states["alpha"].reason, pool.find_start(one)) == ("", None), "it is served already"
        slow.may_start.set()


async def test_a_process_that_gets_initialize_first_has_all_of_the_time():
    deadlines = []

    class Ending(EndingServer):
        def connect(self, credentials):
            deadlines.append(session._scope.deadline)
            return super().connect(credentials)

    session = make_session(Ending(tool("x")), timeout=5.0)
    async with open_session(session):
        assert session.connection is not None
    assert deadlines[1] > deadlines[0]
