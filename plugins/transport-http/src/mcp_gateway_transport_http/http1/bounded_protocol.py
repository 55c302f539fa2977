"""A client's connection under uvicorn, bounded before authentication.

Requests are parsed one at a time. Those behind are kept as bytes, up to a limit at which reading pauses. Deadlines are
numbers that the registry checks once a second, so no request needs a timer.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, cast

from uvicorn.config import Config

from mcp_gateway_transport_http._uvicorn import HIGH_WATER_LIMIT, HttpToolsProtocol, ServerState
from mcp_gateway_transport_http.auth.bearer import ON_ADMITTED
from mcp_gateway_transport_http.http1.backpressure import OutputProgress, ReadFlow
from mcp_gateway_transport_http.http1.connection_bounds import LINGER_SECONDS, MAX_AHEAD_BYTES, MAX_LINGER_BYTES
from mcp_gateway_transport_http.http1.connection_deadline import ConnectionDeadline
from mcp_gateway_transport_http.http1.connection_registry import ConnectionRegistry
from mcp_gateway_transport_http.http1.request_body import RequestBody, body_of
from mcp_gateway_transport_http.http1.request_error import RequestError, encode_refusal
from mcp_gateway_transport_http.http1.request_head import RequestHead
from mcp_gateway_transport_http.http1.request_reader import RequestReader


class BoundedProtocol(HttpToolsProtocol):
    """A connection of uvicorn with limits of bytes and time."""

    def __init__(
        self,
        registry: ConnectionRegistry,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Create the protocol; uvicorn passes all arguments but the first."""
        super().__init__(config, server_state, app_state, _loop)
        self.is_admitted = False
        self._registry = registry
        self._reader = RequestReader(registry.bounds.max_head_bytes)
        self._body: RequestBody | None = None
        self._body_bytes = 0
        self._deadline = ConnectionDeadline(registry.bounds)
        self._is_refused = self._is_advancing = False
        self._dropped_bytes = 0
        self._output = OutputProgress()

    # -- methods for the registry

    @property
    def deadline(self) -> float:
        """When `on_deadline` is due, on the event loop's clock."""
        return self._deadline.at

    @property
    def address(self) -> str:
        """The client's address."""
        return self.client[0] if self.client else ""

    @property
    def buffer_size(self) -> int:
        """How many received bytes are not parsed yet."""
        return len(self._reader.buffer)

    def abort(self) -> None:
        """Close at once."""
        self.transport.abort()

    def on_deadline(self, now: float) -> None:
        """Close a connection whose deadline has passed.

        It is the deadline of a request, a head, a body, or of closing.
        """
        if self._is_refused:
            self.transport.abort()
        elif self.transport.get_write_buffer_size():
            self._check_output(now)
        elif self.transport.is_closing():
            self.transport.abort()
        else:
            # Without a response: a client that trickles bytes does not read, and an unused connection has no request.
            self.transport.close()
            self._deadline.at = now + LINGER_SECONDS

    def check_state(self, now: float) -> None:
        """Close a connection whose client is gone or reads nothing.

        A connection that is being closed gets a short time to deliver its last response.
        """
        if self.transport.is_closing():
            self._deadline.at = min(self._deadline.at, now + LINGER_SECONDS)
        else:
            self._check_output(now)

    def _check_output(self, now: float) -> None:
        if self._output.has_stalled(now, self.transport.get_write_buffer_size()):
            self.transport.abort()

    # -- callbacks of the transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Register the connection; wait for a request if there is room."""
        super().connection_made(transport)
        self.flow = ReadFlow(transport, self.advance)
        self._deadline.await_request(self.loop.time())
        if not self._registry.add(self, self.loop):
            message = f"{len(self._registry)} connections are open, as many as may be (GATEWAY_MAX_CONNECTIONS)"
            self._refuse(RequestError(HTTPStatus.SERVICE_UNAVAILABLE, f"{message}; try again later"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Unregister the connection."""
        self._registry.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Buffer received bytes; parse what is complete."""
        if self._is_refused:
            self._dropped_bytes += len(data)
            if self._dropped_bytes > MAX_LINGER_BYTES:
                self.transport.abort()
            return
        self._reader.buffer += data
        self.advance()

    def resume_writing(self) -> None:
        """Continue with requests that waited for the client to read."""
        super().resume_writing()
        self.advance()

    # -- requests, one at a time

    def is_ready(self) -> bool:
        """Whether the next byte begins a request answerable at once."""
        return (
            not self._reader.buffer
            and self._body is None
            and not self.flow.write_paused
            and not self._is_refused
            and self.has_answered()
        )

    def has_answered(self) -> bool:
        """Whether no earlier request is in progress on this connection."""
        return self.cycle is None or self.cycle.response_complete

    def advance(self) -> None:
        """Parse as much of the buffered requests as possible now."""
        # A parsed request may be answered at once, and so call this again before it returns.
        if self._is_advancing:
            return
        self._is_advancing = True
        try:
            while self._read_some():
                pass
            self._settle()
        except RequestError as error:
            self._refuse(error)
        finally:
            self._is_advancing = False

    def on_headers_complete(self) -> None:
        """Give the request to the application, which may admit its sender."""
        if not self.is_admitted:
            cast("dict[str, Any]", self.scope)[ON_ADMITTED] = self.on_admitted
        super().on_headers_complete()

    def on_admitted(self) -> None:
        """Count this connection as admitted."""
        if not self.is_admitted:
            self.is_admitted = True
            self._registry.admit(self)

    def on_response_complete(self) -> None:
        """Continue with the next buffered request, or wait for one."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self._body is not None and self.expect_100_continue and not self._body_bytes:
            # The client may or may not send the body in spite of the response (RFC 9110, section 10.1.1).
            self.transport.close()
        elif self.is_ready() and not self.flow.read_paused:
            self._deadline.await_request(self.loop.time())
        else:
            self.advance()

    def _read_some(self) -> bool:
        """Parse a head or body piece; return whether to continue."""
        if self._is_refused or self.transport.is_closing():
            return False
        if self._body is not None:
            return self._read_body(self._body)
        if not self._reader.buffer or self.flow.write_paused or not self.has_answered():
            return False
        head = self._reader.read_head()
        if head is not None:
            self._begin_request(head)
        return head is not None

    def _begin_request(self, head: RequestHead) -> None:
        self.stop_waiting()
        self.parser = cast("Any", head)
        self.on_message_begin()
        self.on_url(head.url)
        self.headers.extend(head.headers)
        self.expect_100_continue = head.expects_continue
        if head.length != 0:
            self._body, self._body_bytes = body_of(head), 0
        self.on_headers_complete()
        if self._body is None:
            self.on_message_complete()

    def _read_body(self, body: RequestBody) -> bool:
        if not self._reader.buffer or self._is_body_full():
            return False
        before = self.buffer_size
        piece = body.take(self._reader.buffer)
        if piece:
            self._body_bytes += len(piece)
            self.on_body(piece)
        if body.is_complete:
            self._body = None
            self.stop_waiting()
            self.on_message_complete()
            return True
        if piece:
            self._deadline.renew_body(self.loop.time(), self._body_bytes)
        if self._body_bytes > self._registry.bounds.max_request_bytes and self.has_answered():
            self.transport.close()
        elif 0 < self.buffer_size < before:
            # The buffer may have thousands of chunks; other connections are served first.
            self.loop.call_soon(self.advance)
        return False

    def _is_body_full(self) -> bool:
        """Whether the application has too much unread body."""
        return not self.has_answered() and len(self.cycle.body) > HIGH_WATER_LIMIT

    # -- limits

    def stop_waiting(self) -> None:
        """Clear the deadline: the request is complete."""
        self._deadline.clear()

    def await_body(self) -> None:
        """Set the deadline of a body that has not come whole."""
        self._deadline.await_body(self.loop.time())

    def _settle(self) -> None:
        """Set the deadline; pause or resume reading."""
        if self._is_refused or self.transport.is_closing():
            return
        may_read = self.buffer_size <= MAX_AHEAD_BYTES
        if self._body is not None and not self._is_body_full():
            self.await_body()
        elif self._body is not None or self.flow.write_paused or not self.has_answered():
            self.stop_waiting()
            may_read = may_read and self._body is None
        else:
            self._deadline.await_request(self.loop.time(), has_begun=self.buffer_size > 0)
            may_read = True
        self._set_reading(please=may_read)

    def _set_reading(self, *, please: bool) -> None:
        cast("ReadFlow", self.flow).set_reading(please=please)

    def _refuse(self, error: RequestError) -> None:
        """Answer an unreadable request, and close.

        The client has a moment to read the response.
        """
        self._is_refused, self._body = True, None
        self._reader.buffer.clear()
        if not self.has_answered():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.abort()
                return
        self._deadline.at = self.loop.time() + LINGER_SECONDS
        self.transport.write(encode_refusal(error, self.server_state.default_headers))
        # Closing with unread bytes resets the connection, which may lose the response (RFC 9112, section 9.6).
        self.transport.write_eof()
        self._set_reading(please=True)
