"""Attempts to send one request, each on a session of the pool."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Self

import anyio
import structlog
from mcp.shared.exceptions import MCPError

from mcp_gateway.client.connection import Connection
from mcp_gateway.client.request_timeout import InactivityTimeout
from mcp_gateway.plugin import RequestNotSent, ServerUnavailable
from mcp_gateway.sessions.circuit_breaker import CircuitBreaker
from mcp_gateway.sessions.errors import record_mcp_error, record_timeout
from mcp_gateway.sessions.retry import RetryPolicy
from mcp_gateway.sessions.session import Session

log = structlog.get_logger(__name__)

Attempt = AbstractAsyncContextManager[tuple[Connection, InactivityTimeout]]
"""Lends the connection to send by, and the timeout that ends the attempt."""


@dataclass(slots=True, eq=False)
class Attempts:
    """The attempts to send one request.

        async for attempt in pool.attempts(key):
            async with attempt as (connection, inactivity):
                return await connection.request(method, params)

    An attempt that succeeds is the last. So is one that must not be repeated: it raises its error. Any other
    suppresses its error and waits; then the next attempt follows, on whichever session is open.
    """

    retry: RetryPolicy
    breaker: CircuitBreaker
    open_session: Callable[[], AbstractAsyncContextManager[Session]]
    _has_next: bool = True

    def __aiter__(self) -> Self:
        """Iterate over the attempts."""
        return self

    async def __anext__(self) -> Attempt:
        """Return the next attempt, if the last one may be repeated."""
        if not self._has_next:
            raise StopAsyncIteration
        # Nothing is sent twice unless the failure says that it may be.
        self._has_next = False
        return self._attempt()

    @asynccontextmanager
    async def _attempt(self) -> AsyncIterator[tuple[Connection, InactivityTimeout]]:
        """Lend a session once.

        Raises:
            ServerUnavailable: the session could not be opened, or closed, and there may be no further attempt.
            Overloaded: the server has its maximum of sessions, all in use.
            ServerTimeout: the server did not answer within its `timeout`.
            AuthError: the server rejected the credentials.
            MCPError: the server answered with an error.

        """
        try:
            async with self._lend() as lent:
                yield lent
        except ServerUnavailable as failure:
            pause = self._next_delay(failure)
            if pause is None:
                raise
        else:
            return
        self._has_next = True
        await anyio.sleep(pause)

    def _next_delay(self, failure: ServerUnavailable) -> float | None:
        pause, server = self.retry.next_delay(failure), self.breaker.server
        if pause is not None:
            log.info("request retried", server=server, reason=str(failure), pause=pause)
        elif isinstance(failure, RequestNotSent):
            self.breaker.record_failure(failure)
        return pause

    @asynccontextmanager
    async def _lend(self) -> AsyncIterator[tuple[Connection, InactivityTimeout]]:
        """Lend a session's connection, recording what comes of it."""
        spec = self.breaker.spec
        async with self.open_session() as session:
            connection = await session.wait_opened()
            inactivity = InactivityTimeout(spec.timeout, spec.max_call_time)
            with inactivity.waiting():
                try:
                    yield connection, inactivity
                except MCPError as error:
                    failure = await record_mcp_error(session, error)
                    if failure is None:
                        raise
                    raise failure from error
                session.breaker.record_answer()
                return
        raise record_timeout(session, spec, inactivity)
