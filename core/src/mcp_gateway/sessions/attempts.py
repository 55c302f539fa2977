"""Attempts to send one request, each on a session of the pool."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import anyio
import structlog
from mcp.shared.exceptions import MCPError
from msgspec import Struct

from mcp_gateway.client.connection import Connection
from mcp_gateway.client.request_timeout import InactivityTimeout
from mcp_gateway.config.time_limits import TimeLimit
from mcp_gateway.plugin import RequestNotSent, ServerUnavailable
from mcp_gateway.sessions.circuit_breaker import CircuitBreaker
from mcp_gateway.sessions.errors import record_failure, record_timeout
from mcp_gateway.sessions.retry import RetryPolicy
from mcp_gateway.sessions.session import Session
from mcp_gateway.sessions.session_key import SessionKey

ResultT = TypeVar("ResultT")

log = structlog.get_logger(__name__)


class Attempts(Struct, eq=False):
    """The attempts to send one request: `await pool.attempts(key).run(send)`."""

    retry: RetryPolicy
    breaker: CircuitBreaker
    session_key: SessionKey
    borrow: Callable[[SessionKey], Session]
    give_back: Callable[[SessionKey, Session], None]
    find_first_start: Callable[[SessionKey], Session | None]
    patience: TimeLimit | None = None
    """How long it waits for a session to open; None: as long as the server may take."""

    async def run(self, send: Callable[[Session], Awaitable[ResultT]]) -> ResultT:
        """Return what `send` returns, given an open session.

        A failure after which the request may be sent again is followed by a pause and another attempt, on whichever
        session is open then.

        Raises:
            ServerUnavailable: the session could not be opened, or the request failed, and there is no further attempt.
            StillStarting: the server needs longer for that than `patience` allows.
            Overloaded: the server has its maximum of sessions, all in use.
            AuthError: the server rejected the credentials.

        """
        key = self.session_key
        while True:
            if (first := self.find_first_start(key)) is not None:
                await first.wait_opened(self.patience)
            session = self.borrow(key)
            try:
                if session.connection is None:
                    await session.wait_opened(self.patience)
                try:
                    result = await send(session)
                except (MCPError, ServerUnavailable) as error:
                    pause = await self._next_pause(session, error)
                else:
                    session.breaker.record_answer()
                    return result
            finally:
                self.give_back(key, session)
            await anyio.sleep(pause)

    async def _next_pause(self, session: Session, error: MCPError | ServerUnavailable) -> float:
        """Record a failure; return the pause before the next attempt, or raise."""
        failure = await record_failure(session, error)
        if failure is None:
            raise error
        pause = self._next_delay(failure) if isinstance(failure, ServerUnavailable) else None
        if pause is not None:
            return pause
        if failure is error:
            raise error
        raise failure from error

    def _next_delay(self, failure: ServerUnavailable) -> float | None:
        pause, server = self.retry.next_delay(failure), self.breaker.server
        if pause is not None:
            log.info("request retried", server=server, reason=str(failure), pause=pause)
        elif isinstance(failure, RequestNotSent):
            self.breaker.record_failure(failure)
        return pause


@contextmanager
def limit_inactivity(session: Session) -> Iterator[tuple[Connection, InactivityTimeout]]:
    """Limit the silence of a server after requests of the gateway's own.

    Yields connection and timeout.

    Raises:
        ServerTimeout: the server was silent for its `list_timeout`, or took longer than its `max_call_time`.

    """
    limits, connection = session.time_limits, session.connection
    if connection is None:
        raise AssertionError  # it is open
    total = limits.max_call_time if limits.max_call_time > limits.list.seconds else math.inf
    inactivity = InactivityTimeout(limits.list.seconds, total)
    with inactivity.waiting():
        yield connection, inactivity
        return
    raise record_timeout(session, limits.list, is_exhausted=inactivity.is_exhausted)
