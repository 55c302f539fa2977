"""Streams of the local socket, on those of asyncio.

anyio's own for Unix sockets (4.16) leave an InvalidStateError in the event loop: their reader callback sets the result
of a future that is done.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from contextlib import suppress

import anyio
from anyio.abc import ByteStream


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
        return find_peer_user(self._writer.get_extra_info("socket")) in {None, 0, _own_user()}


def _own_user() -> int | None:
    return os.getuid() if sys.platform != "win32" else None


def find_peer_user(peer: socket.socket) -> int | None:
    """Return the user id of the peer of a Unix socket.

    None where the system does not tell.
    """
    if peer.family != getattr(socket, "AF_UNIX", None) or not hasattr(socket, "SO_PEERCRED"):
        return None
    with socket.socket(fileno=os.dup(peer.fileno())) as real:  # uvloop's has not all of the methods
        credentials = real.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    user: int = struct.unpack("3i", credentials)[1]
    return user
