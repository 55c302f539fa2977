"""The side of a connection that responses are written to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from uvicorn.config import Config

from mcp_gateway_transport_http._uvicorn import ServerState
from mcp_gateway_transport_http.http1.bounded_protocol import BoundedProtocol
from mcp_gateway_transport_http.server.response_writer import HttpResponseWriter

if TYPE_CHECKING:
    from mcp_gateway_transport_http.server.message_endpoint import MessageEndpoint


class ResponseProtocol(BoundedProtocol):
    """A connection that writes responses without ASGI."""

    def __init__(
        self,
        endpoint: MessageEndpoint,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        """Begin unconnected."""
        super().__init__(endpoint.registry, config, server_state, app_state, loop)
        self._endpoint = endpoint
        self._writer: HttpResponseWriter | None = None
        self._header_lines: tuple[list[tuple[bytes, bytes]] | None, bytes] = None, b""

    # -- what the transport and the registry tell

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the response in progress."""
        writer = self._writer
        if writer is not None and not writer.response_complete:
            self._release(writer)
            writer.on_connection_lost()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Close after what is answered already was sent."""
        self._endpoint.outbox.flush()
        super().shutdown()

    def check_state(self, now: float) -> None:
        """Write a comment on a stream that is silent for long."""
        super().check_state(now)
        writer = self._writer
        if writer is not None and not writer.response_complete and not self.transport.is_closing():
            writer.on_tick(now, self._registry.bounds.ping_interval)

    def begin_response(self, writer: HttpResponseWriter) -> None:
        """Make requests behind this one wait for its response."""
        self._writer = writer
        self.cycle = writer  # type: ignore[assignment]  # it has all that is asked of a cycle
        self.stop_waiting()
        self._endpoint.sessions.open_requests.count += 1
        self._endpoint.outbox.requests_in_flight += 1
        self.tasks.add(writer)  # type: ignore[arg-type]  # those that are waited for at the end
        if writer.request.session is not None:
            writer.request.session.begin_request(self.loop.time())

    # -- what a response tells

    @property
    def is_write_paused(self) -> bool:
        """Whether the client does not read what was written."""
        return self.flow.write_paused

    def default_headers(self) -> bytes:
        """Return the header lines of every response."""
        lines = self.server_state.default_headers
        # uvicorn makes a new list for each second.
        if lines is not self._header_lines[0]:
            self._header_lines = lines, b"".join([b"%b: %b\r\n" % line for line in lines])
        return self._header_lines[1]

    def send(self, data: bytes, *, more: bool = False) -> None:
        """Write a small piece of a response, together with those of others."""
        if not self.transport.is_closing():
            self._endpoint.outbox.write(self.transport, data, more=more)

    def send_at_once(self, *parts: bytes) -> None:
        """Write a large piece, or the last of the connection."""
        # What was written before must not be overtaken.
        self._endpoint.outbox.flush()
        if not self.transport.is_closing():
            self.transport.writelines(parts)

    def on_request_ended(self, writer: HttpResponseWriter) -> None:
        """Count a request less."""
        self._endpoint.sessions.open_requests.count -= 1
        if writer.request.session is not None:
            writer.request.session.end_request(self.loop.time())
        if not writer.disconnected:
            self._release(writer)

    def on_response_written(self, writer: HttpResponseWriter) -> None:
        """Continue with a pipelined request, or wait for one."""
        if not writer.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def on_message_dropped(self) -> None:
        """Count a message that the client did not read in time."""
        self._endpoint.dropped.add()

    def _release(self, writer: HttpResponseWriter) -> None:
        self._endpoint.outbox.requests_in_flight -= 1
        self.tasks.discard(writer)
