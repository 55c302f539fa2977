"""The connection of a window."""

from __future__ import annotations

import asyncio
from typing import cast

from mcp_gateway_transport_stdio.server_io import StdioServerProtocol


class WindowProtocol(StdioServerProtocol):
    """Serves a window over a socket as stdio over its two pipes."""

    def __init__(self, max_request_bytes: int) -> None:
        """Create a protocol without an early handshake."""
        super().__init__(_answer_nothing, max_request_bytes)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Read from the socket, and write to it."""
        self._transport = cast("asyncio.Transport", transport)
        super().connection_made(transport)
        self.output.connection_made(transport)

    def pause_writing(self) -> None:
        """Take note that the window does not read."""
        self.output.pause_writing()

    def resume_writing(self) -> None:
        """Take note that it has read most of what was written."""
        self.output.resume_writing()

    def eof_received(self) -> bool:
        """Handle the end of the client's input; it still gets its answers."""
        super().eof_received()
        super().connection_lost(None)
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """Handle the end of the window."""
        super().connection_lost(error)
        self.output.connection_lost(error)

    def end_input(self) -> None:
        """Read no more, as at the end of the client's input."""
        super().connection_lost(None)
        if self._transport is not None and self._transport.is_reading():
            self._transport.pause_reading()

    def abort(self) -> None:
        """Close the socket, whatever the window has not read."""
        if self._transport is not None:
            self._transport.abort()


def _answer_nothing(_message: bytes) -> bytes | None:
    """Leave the handshake to the server, which is loaded."""
    return None
