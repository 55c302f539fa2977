"""The pieces of a body while it comes, with back-pressure.

What is not taken stops the connection from being read.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from mcp_gateway_transport_http.client.response_limits import PIECE_BYTES

_MOST_HELD = 4 * PIECE_BYTES


class Pieces:
    """A body of which one task takes piece after piece."""

    def __init__(self, transport: asyncio.Transport | None) -> None:
        """Hold what comes over a transport."""
        self._transport = transport
        self._held = bytearray()
        self._error: Exception | None = None
        self._ended = self._paused = False
        self._waiting: asyncio.Future[None] | None = None

    def put(self, piece: bytes) -> None:
        """Add data; pause reading if that is too much."""
        self._held += piece
        if len(self._held) >= _MOST_HELD and not self._paused and not self._ended:
            self._read_on(please=False)
        self._wake()

    def end(self, error: Exception | None = None) -> None:
        """End the body; an error makes its pieces worthless."""
        self._ended, self._error = True, self._error or error
        if error is not None:
            self._held.clear()
        if self._paused:
            self._read_on(please=True)
        self._wake()

    async def get(self) -> bytes | None:
        """Return the next piece, None after the last one.

        Raises:
            LimitExceeded: the body is not as it may be.

        """
        while not self._held:
            if self._error is not None:
                raise self._error
            if self._ended:
                return None
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        piece = bytes(self._held[:PIECE_BYTES])
        del self._held[:PIECE_BYTES]
        if self._paused and len(self._held) <= PIECE_BYTES:
            self._read_on(please=True)
        return piece

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _read_on(self, *, please: bool) -> None:
        self._paused = not please
        if self._transport is not None and not self._transport.is_closing():
            with suppress(RuntimeError):  # it has just closed
                (self._transport.resume_reading if please else self._transport.pause_reading)()
