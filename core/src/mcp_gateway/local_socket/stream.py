"""Streams of the local socket, on those of asyncio.

anyio's own for Unix sockets (4.16) leave an InvalidStateError in the event loop: their reader callback sets the result
of a future that is done.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import anyio
from anyio.abc import ByteStream

from mcp_gateway.plugin import is_own_user


class LocalStream(ByteStream):
    """A stream of bytes between a gateway and who asks it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Wrap a connection."""
        self._reader, self._writer = reader, writer

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return what has come; wait for it."""
        try:
            data = await self._reader.read(max_bytes)
        except OSError as error:
            raise anyio.BrokenResourceError from error
        if not data:
            raise anyio.EndOfStream
        return data

    async def send(self, item: bytes) -> None:
        """Send bytes; wait until the other side has room for them."""
        try:
            self._writer.write(item)
            await self._writer.drain()
        except OSError as error:
            raise anyio.BrokenResourceError from error

    async def send_eof(self) -> None:
        """Say that nothing more follows."""
        self._writer.write_eof()

    async def aclose(self) -> None:
        """Close the connection at once."""
        self._writer.transport.abort()
        with suppress(OSError), anyio.CancelScope(shield=True):
            await self._writer.wait_closed()

    def is_own_user(self) -> bool:
        """Whether the peer is this user, or the administrator.

        It is true where the system does not tell.
        """
        return is_own_user(self._writer.get_extra_info("socket"))
