"""Backpressure of one connection, in both directions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mcp_gateway_transport_http._uvicorn import FlowControl
from mcp_gateway_transport_http.http1.connection_bounds import OUTPUT_TIMEOUT


class ReadFlow(FlowControl):
    """uvicorn's flow control, with buffered bytes first.

    uvicorn resumes reading when an application wants more of a body; bytes that are already buffered must be parsed
    first.
    """

    def __init__(self, transport: asyncio.Transport, on_resume: Callable[[], None]) -> None:
        """Call `on_resume` instead of resuming the transport."""
        super().__init__(transport)
        self._on_resume = on_resume

    def resume_reading(self) -> None:
        """Parse buffered bytes; read more when there is room."""
        self._on_resume()

    def set_reading(self, *, please: bool) -> None:
        """Resume or pause reading from the transport."""
        if please:
            super().resume_reading()
        else:
            self.pause_reading()


class OutputProgress:
    """Detector of clients that do not read, checked periodically."""

    __slots__ = ("_since", "_unread_bytes")

    def __init__(self) -> None:
        """Begin without unread output."""
        self._unread_bytes, self._since = 0, 0.0

    def has_stalled(self, now: float, unread_bytes: int) -> bool:
        """Whether the client has read nothing for too long.

        Any change of the number of unread bytes counts as progress.
        """
        if unread_bytes != self._unread_bytes or not unread_bytes:
            self._unread_bytes, self._since = unread_bytes, now
            return False
        return now - self._since > OUTPUT_TIMEOUT
