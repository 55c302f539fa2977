"""A session: how often it tries to connect, how long it waits, and that it always comes to its end."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from mcp_gateway.client.errors import error_of_exception
from mcp_gateway.client.server_messages import ServerMessageRouter
from mcp_gateway.plugin import AuthError, Credentials, RequestNotSent, ServerTimeout, ServerUnavailable
from mcp_gateway.sessions import session as module
from mcp_gateway.sessions.circuit_breaker import CircuitBreaker
from mcp_gateway.sessions.session import Session

from ..support.fake_servers import EndingServer, Remote, ScriptedTransport, tool
from ..support.gateway import spec


@pytest.fixture(autouse=True)
def _short_pause(monkeypatch):
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.001)


def make_session(transport, **changes):
    configured = spec(
        **{"timeout": 5.0, **{key: changes[key] for key in ("timeout", "max_call_time") if key in changes}}
    )
    settled = {
        "time_limits": configured.time_limits,
        "max_retries": 0,
        "idle": 60.0,
        "attended": False,
        "router": ServerMessageRouter(),
        "on_announced": lambda *_: None,
        "on_open": lambda _: None,
        "on_over": lambda _: None,
        "breaker": CircuitBreaker(configured),
    }
    changes = {key: value for key, value in changes.items() if key not in ("timeout", "max_call_time")}
    return Session(server="alpha", client_transport=transport, credentials=Credentials(), **{**settled, **changes})


@asynccontextmanager
async def open_session(session):
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.keep)
            await session.settled.wait()
            yield session
            session.stop()
            await session.gone.wait()


class RefusingServer(Remote):
    """Refuses the first `times` connections."""

    def __init__(self, error, times):
        super().__init__(tool("x"))
        self._errors = [error] * times

    def connect(self, credentials):
        self.refusal = self._errors.pop() if self._errors else None
        return super().connect(credentials)


async def test_a_connection_is_tried_again_as_often_as_the_configuration_says():
    alpha = RefusingServer(OSError("refused"), times=3)
    async with open_session(make_session(alpha, max_retries=3)) as session:
        assert session.connection is not None
        assert session.error is None
    assert len(alpha.opened) == 4


@pytest.mark.parametrize("retries", [0, 2])
async def test_and_not_more_often(retries):
    alpha = RefusingServer(OSError("refused"), times=9)
    async with open_session(make_session(alpha, max_retries=retries)) as session:
        assert session.connection is None
        assert str(session.error) == "server 'alpha' is not available: OSError: refused"
    assert len(alpha.opened) == retries + 1


@pytest.mark.parametrize(
    "error",
    [ServerUnavailable("no such command", permanent=True), AuthError("wrong key")],
    ids=["lasting", "auth"],
)
async def test_what_cannot_get_better_is_not_tried_again(error):
    alpha = RefusingServer(error, times=9)
    async with open_session(make_session(alpha, max_retries=3)) as session:
        assert type(session.error) is type(error)
        assert str(error) in str(session.error)
    assert len(alpha.opened) == 1


async def test_the_pauses_grow_but_never_beyond_the_time_there_is(monkeypatch):
    monkeypatch.setattr(module, "_FIRST_PAUSE", 60.0)
    alpha = RefusingServer(OSError("refused"), times=9)
    async with open_session(make_session(alpha, max_retries=9, timeout=5.0)) as session:
        assert isinstance(session.error, ServerUnavailable)
    assert len(alpha.opened) == 1


async def test_a_server_that_never_answers_is_given_up_after_its_time():
    silent = ScriptedTransport({"server/discover": ..., "initialize": ...})
    async with open_session(make_session(silent, timeout=0.05, max_retries=3)) as session:
        assert isinstance(session.error, ServerTimeout)
        assert str(session.error) == (
            "server 'alpha' did not start within 0.05 s (its \"timeout\"); "
            'raise that, or set its "start_timeout", if it needs longer'
        )


async def test_a_server_that_refuses_to_open_a_session_is_quoted():
    async with open_session(
        make_session(ScriptedTransport({"initialize": MCPError(-32500, "licence expired")}))
    ) as session:
        assert str(session.error) == "server 'alpha' refused to open a session: licence expired (-32500)"


async def test_it_stops_at_once_while_it_is_not_open_yet():
    session = make_session(ScriptedTransport({"server/discover": ..., "initialize": ...}), timeout=60, max_retries=3)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(session.keep)
        await anyio.wait_all_tasks_blocked()
        session.stop()
        with anyio.fail_after(1):
            await session.gone.wait()
    assert (session.settled.is_set(), session.connection, session.error) == (True, None, None)


async def test_it_stops_at_once_between_two_attempts(monkeypatch):
    monkeypatch.setattr(module, "_FIRST_PAUSE", 30.0)
    alpha = RefusingServer(OSError("refused"), times=9)
    session = make_session(alpha, timeout=600, max_retries=3)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(session.keep)
        await anyio.wait_all_tasks_blocked()
        session.stop()
        with anyio.fail_after(1):
            await session.gone.wait()
    assert len(alpha.opened) == 1


async def test_it_stops_at_once_before_it_has_begun():
    alpha = Remote(tool("x"))
    session = make_session(alpha)
    session.stop()
    with anyio.fail_after(1):
        await session.keep()
    assert (session.gone.is_set(), session.connection) == (True, None)


async def test_a_transport_that_hangs_when_it_is_closed_is_left(monkeypatch):
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.05)

    class HangingServer(Remote):
        @asynccontextmanager
        async def connect(self, credentials):
            async with super().connect(credentials) as streams:
                yield streams
                await anyio.sleep_forever()

    async with open_session(make_session(HangingServer(tool("x")))) as session:
        assert session.connection is not None
    assert session.gone.is_set()


async def test_the_owner_is_notified_once_that_it_is_over():
    over, alpha = [], Remote(tool("x"))
    async with open_session(make_session(alpha, on_over=over.append)) as session:
        await alpha.die()
        await session.gone.wait()
        assert over == [session]
        assert session.connection is None
        assert "closed the connection" in str(session.error)
    assert over == [session]


def test_a_failure_names_the_server_and_keeps_what_the_transport_noted():
    error = OSError("broken pipe")
    error.add_note("its last words: no API key")
    nested = ExceptionGroup("many", [ExceptionGroup("more", [error]), ValueError("later")])
    assert str(error_of_exception("alpha", nested)) == (
        "server 'alpha' is not available: OSError: broken pipe; its last words: no API key"
    )


def test_a_failure_without_words_is_called_by_its_kind():
    assert str(error_of_exception("alpha", TimeoutError())) == "server 'alpha' is not available: TimeoutError"


def test_a_session_whose_first_request_could_not_be_sent_has_an_error_that_says_so():
    error = error_of_exception("alpha", RequestNotSent("it refuses connections"))
    assert str(error) == "server 'alpha' cannot be reached: it refuses connections"
    assert type(error) is ServerUnavailable


def test_a_failure_that_lasts_stays_one_that_lasts():
    assert error_of_exception("alpha", ServerUnavailable("no such command", permanent=True)).permanent
    assert not error_of_exception("alpha", ServerUnavailable("refused")).permanent


async def test_a_server_that_ends_at_another_first_message_gets_initialize_on_a_new_connection():
    server = EndingServer(tool("x"))
    async with open_session(make_session(server)) as session:
        assert (session.error, session.connection.modern, session.initialize_first) == (None, False, True)
        assert len(server.opened) == 2


async def test_a_server_that_is_known_to_end_gets_initialize_first():
    server = EndingServer(tool("x"))
    async with open_session(make_session(server, initialize_first=True)) as session:
        assert session.connection is not None
        assert len(server.opened) == 1


async def test_a_server_that_was_thought_to_end_may_be_modern():
    async with open_session(make_session(Remote(tool("x")), initialize_first=True)) as session:
        assert session.connection is not None


async def test_a_server_that_always_ends_is_started_twice_and_the_error_says_so():
    server = EndingServer(tool("x"), ends=("server/discover", "initialize"))
    async with open_session(make_session(server)) as session:
        assert str(session.error) == "server 'alpha' is not available: it closed the connection"
        assert len(server.opened) == 2
