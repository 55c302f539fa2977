"""Attempts to send one request, each on a session of the pool."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

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

log = structlog.get_logger(__name__)


class Attempts(Struct, eq=False):
    """The attempts to send one request.

        async for attempt in pool.attempts(key):
            async with attempt as session:
                return await session.connection.request(method, params)

    An attempt that succeeds is the last. So is one that must not be repeated: it raises its error. Any other
    suppresses its error and waits; then the next attempt follows, on whichever session is open. It has no generator
    and no cancel scope, since it lies on the path of every call.
    """

    retry: RetryPolicy
    breaker: CircuitBreaker
    session_key: SessionKey
    borrow: Callable[[SessionKey], Session]
    give_back: Callable[[SessionKey, Session], None]
    find_first_start: Callable[[SessionKey], Session | None]
    patience: TimeLimit | None = None
    """How long it waits for a session to open; None: as long as the server may take."""
    _session: Session | None = None
    _has_next: bool = True

    def __aiter__(self) -> Self:
        """Iterate over the attempts."""
        return self

    async def __anext__(self) -> Self:
        """Return the next attempt, if the last one may be repeated."""
        if not self._has_next:
            raise StopAsyncIteration
        # Nothing is sent twice unless the failure says that it may be.
        self._has_next = False
        return self

    async def __aenter__(self) -> Session:
        """Lend an open session once.

        Raises:
            ServerUnavailable: the session could not be opened.
            StillStarting: the server needs longer for that than `patience` allows.
            Overloaded: the server has its maximum of sessions, all in use.
            AuthError: the server rejected the credentials.

        """
        if (first := self.find_first_start(self.session_key)) is not None:
            await first.wait_opened(self.patience)
        session = self.borrow(self.session_key)
        try:
            if session.connection is None:
                await session.wait_opened(self.patience)
        except BaseException:
            self.give_back(self.session_key, session)
            raise
        self._session = session
        return session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Record the outcome; suppress the error if another attempt follows.

        Raises:
            ServerUnavailable: the request failed, and there is no further attempt.
            AuthError: the server rejected the credentials.

        """
        session, self._session = self._session, None
        if session is None:
            raise AssertionError  # it was entered
        try:
            if error is None:
                session.breaker.record_answer()
            if not isinstance(error, MCPError | ServerUnavailable):
                return False
            failure = await record_failure(session, error)
            if failure is None:
                return False
            pause = self._next_delay(failure) if isinstance(failure, ServerUnavailable) else None
            if pause is None and failure is error:
                return False
            if pause is None:
                raise failure from error
        finally:
            self.give_back(self.session_key, session)
        self._has_next = True
        await anyio.sleep(pause)
        return True

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
