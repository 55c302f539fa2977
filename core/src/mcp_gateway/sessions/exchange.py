"""A client's request on a session, until response or timeout."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from mcp.shared.exceptions import MCPError

from mcp_gateway.client.connection import Connection
from mcp_gateway.client.in_flight import InFlightRequest
from mcp_gateway.plugin import RequestNotSent, ServerUnavailable
from mcp_gateway.protocol.envelope import encode_request, parse_response
from mcp_gateway.protocol.raw_json import NO_MEMBERS, Fields
from mcp_gateway.sessions.attempts import limit_inactivity
from mcp_gateway.sessions.errors import record_timeout
from mcp_gateway.sessions.session import Session


class Sendable(Protocol):
    """A request that can be encoded for a server of either era."""

    @property
    def method(self) -> str:
        """The JSON-RPC method."""
        ...

    def encode_params(self, exchange: Exchange, *, modern: bool) -> bytes:
        """Return the params as JSON."""
        ...

    def modern_headers(self) -> Mapping[str, str]:
        """Return the headers that a modern server wants to see over HTTP."""
        ...


class Exchange(InFlightRequest, eq=False, kw_only=True):
    """A request and its response: the channel's `ResponseHandler`, and the router's `InFlightRequest`.

    `run` is called once. Progress notifications and log messages restart its time limit, up to the server's
    `max_call_time`; while the server waits for the client the time does not count.
    """

    session: Session
    capabilities: Mapping[str, object] = NO_MEMBERS
    request_id: int = 0
    _future: asyncio.Future[bytes] | None = None
    _end: float = math.inf
    _last: asyncio.TimerHandle | None = None
    """The timer of the total limit, once it comes before that of inactivity."""
    _later: asyncio.TimerHandle | None = None
    """The timer of inactivity after a sign of life that no transport assigns to a call."""
    _pauses: int = 0
    _paused_at: float = 0.0

    async def run(self, request: Sendable) -> Fields:
        """Send `request`; return the undecoded members of its result.

        Raises:
            ServerError: the server answered with an error.
            MCPError: the transport answered in the server's place, by a `TransportFault`.
            RequestNotSent: the session has ended meanwhile.
            ServerTimeout: the server did not answer in time.
            ServerUnavailable: the connection closed, or the server failed in another way.

        """
        session, connection = self.session, self.session.connection
        if connection is None or connection.is_closed:
            raise RequestNotSent("the session has just ended")
        if self.channel.log_level is not None and connection.lacks_log_level(self.channel.log_level):
            with limit_inactivity(session):
                await connection.set_log_level(self.channel.log_level)
        self.request_id = request_id = next(connection.ids)
        modern = connection.modern
        params = request.encode_params(self, modern=modern)
        headers = request.modern_headers() if modern else connection.handshake_headers
        loop = connection.loop
        self._future, self.timer = loop.create_future(), self
        now = loop.time()
        self._end = now + session.time_limits.max_call_time
        connection.router.enter(request_id, self)
        self._start_timer(loop, now)
        message = encode_request(b"%d" % request_id, request.method, params)
        abandon = connection.channel.request(message, request_id, headers, self)
        try:
            return parse_response(await self._future)
        except TimeoutError:
            abandon()
            connection.cancel_request(request_id)
            limit = session.time_limits.call
            is_exhausted = self._last is not None
            raise record_timeout(session, limit, is_exhausted=is_exhausted, request_id=request_id) from None
        except asyncio.CancelledError:
            abandon()
            connection.cancel_request(request_id)
            raise
        finally:
            self._stop_timer()
            connection.router.leave(request_id)
            self.timer = None  # a reference to itself, which only the garbage collector would find

    # -- what the channel tells

    def on_message(self, message: bytes) -> None:
        """Handle a message that came on this request's stream."""
        connection: Connection | None = self.session.connection
        if connection is not None:
            connection.on_message(message, self)

    def on_response(self, response: bytes) -> None:
        """Handle the response."""
        if self._future is not None and not self._future.done():
            self._future.set_result(response)

    def on_failure(self, error: Exception) -> None:
        """Handle the failure of the request."""
        if self._future is not None and not self._future.done():
            self._future.set_exception(
                error if isinstance(error, MCPError | ServerUnavailable) else ServerUnavailable(str(error))
            )

    # -- the time limit

    def reset(self) -> None:
        """Restart the time limit after a sign of activity."""
        # The timer of the total limit, once it runs, is the last one.
        if self._pauses or self._last is not None or self._future is None:
            return
        loop = self._future.get_loop()  # to ask for the running one takes a system call (Python 3.11)
        now = loop.time()
        if self._later is not None or self._end < now + self.session.deadlines.seconds:
            self._stop_timer()
            self._start_timer(loop, now)
        else:
            self.session.deadlines.renew(self.request_id, now)

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Pause the time limit during the block."""
        loop = asyncio.get_running_loop()
        if not self._pauses:
            self._stop_timer()
            self._paused_at = loop.time()
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1
            if not self._pauses:
                # The total limit is for the server's work and excludes the time a person took to answer.
                self._end += loop.time() - self._paused_at
                if self._future is not None and not self._future.done():
                    self._start_timer(loop, loop.time())

    def _start_timer(self, loop: asyncio.AbstractEventLoop, now: float) -> None:
        """Time the request, by its session's queue or the total limit.

        What comes first counts.
        """
        session = self.session
        if self._end < now + session.deadlines.seconds:
            self._last = loop.call_at(self._end, self._on_timeout)
        else:
            session.deadlines.add(self.request_id, self._on_timeout, loop, now)

    def _stop_timer(self) -> None:
        self.session.deadlines.remove(self.request_id)
        if self._last is not None:
            self._last.cancel()
            self._last = None
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def _on_timeout(self) -> None:
        if self._future is None or self._future.done():
            return
        loop, session = asyncio.get_running_loop(), self.session
        # A sign of life that may have been this call's is looked for only now: servers may write thousands a second.
        quiet = min(session.router.heard_at + session.deadlines.seconds, self._end)
        if self._last is None and quiet > loop.time():
            if quiet == self._end:
                self._last = loop.call_at(quiet, self._on_timeout)
            else:
                self._later = loop.call_at(quiet, self._on_timeout)
        else:
            self._future.set_exception(TimeoutError())
