"""Backpressure of one connection: whether each side reads the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mcp_gateway_transport_http._uvicorn import FlowControl
from mcp_gateway_transport_http.http1.connection_bounds import OUTPUT_TIMEOUT


class ReadFlow(FlowControl):
    """uvicorn's flow control; bytes that are here already come first.

    uvicorn resumes reading when an application wants more of a body. More may be here already.
    """

    def __init__(self, transport: asyncio.Transport, on_resume: Callable[[], None]) -> None:
        """Call `on_resume` in place of reading more."""
        super().__init__(transport)
        self._on_resume = on_resume

    def resume_reading(self) -> None:
        """Parse what has come; read more once there is room."""
        self._on_resume()

    def set_reading(self, *, please: bool) -> None:
        """Read more from the transport, or stop."""
        if please:
            super().resume_reading()
        else:
            self.pause_reading()


class OutputProgress:
    """Whether a client reads what waits for it, looked at periodically."""

    __slots__ = ("_since", "_unread_bytes")

    def __init__(self) -> None:
        """Begin with nothing unread."""
        self._unread_bytes, self._since = 0, 0.0

    def has_stalled(self, now: float, unread_bytes: int) -> bool:
        """Whether the client has read nothing for too long.

        Any change of what is unread counts as progress: a byte that is read changes it.
        """
        if unread_bytes != self._unread_bytes or not unread_bytes:
            self._unread_bytes, self._since = unread_bytes, now
            return False
        return now - self._since > OUTPUT_TIMEOUT
