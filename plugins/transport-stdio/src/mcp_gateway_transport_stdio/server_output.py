"""Standard output towards the client, and what writes to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

import anyio

from mcp_gateway.plugin import RawResponse, to_line

log = logging.getLogger(__name__)

# asyncio tells when its buffer is short, not when it is empty.
_LOOK_SECONDS = 0.02

_LARGE = 64 << 10
"""From how many bytes on the end of a line is written beside it rather than joined with it."""

MAX_UNREAD_BYTES = 64 << 20
"""How much may wait for a client that does not read; beyond that it is not read, either."""


class ServerOutput(asyncio.BaseProtocol):
    """The pipe to the client.

    `on_change` is called when the client reads again, and when it reads no more for good.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        """Tell `on_change`."""
        self._on_change = on_change
        self._transport: asyncio.WriteTransport | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of the pipe."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def pause_writing(self) -> None:
        """Take note that the client does not read."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Take note that it has read most of what was written."""
        self._writable.set()
        self._on_change()

    def connection_lost(self, _: Exception | None) -> None:
        """Take note that the client has closed its end."""
        self._writable.set()
        self._on_change()

    @property
    def is_open(self) -> bool:
        """Whether the client may read what is written."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_congested(self) -> bool:
        """Whether the client does not read what has been written."""
        return not self._writable.is_set() and self.is_open

    @property
    def is_full(self) -> bool:
        """Whether too much waits for the client."""
        return self.is_congested and self._unread_bytes() > MAX_UNREAD_BYTES

    async def wait_writable(self) -> None:
        """Wait until the client has read most of what was written."""
        await self._writable.wait()

    def write_message(self, message: bytes) -> None:
        """Write a message in one line; no-op if the client has gone."""
        line = to_line(message)
        if len(line) < _LARGE:
            self.write(line + b"\n")
        else:
            # Joining would copy it.
            self.write(line)
            self.write(b"\n")

    def write(self, data: bytes) -> None:
        """Write bytes; no-op if the client has gone."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def drain(self, seconds: float) -> None:
        """Wait until all is written, so many seconds at the most."""
        with anyio.move_on_after(seconds):
            while self.is_open and self._unread_bytes():  # noqa: ASYNC110  # no event
                await anyio.sleep(_LOOK_SECONDS)
        if unread := self._unread_bytes():
            log.warning("responses not read", extra={"bytes": unread, "reason": "the client does not read them"})

    def close(self) -> None:
        """Close the pipe, once all is written."""
        if self._transport is not None:
            self._transport.close()

    def _unread_bytes(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()


class PipeWriter:
    """The `ResponseWriter` of one message of the client's.

    `in_flight` has what abandons it, until it is finished.
    """

    __slots__ = ("_in_flight", "_output")

    def __init__(self, output: ServerOutput, in_flight: dict[PipeWriter, Callable[[], None]]) -> None:
        """Write to `output`."""
        self._output, self._in_flight = output, in_flight

    @property
    def is_congested(self) -> bool:
        """Whether the client does not read what has been written."""
        return self._output.is_congested

    def write(self, message: bytes) -> None:
        """Write a message before the response."""
        self._output.write_message(message)

    def finish(self, response: RawResponse) -> None:
        """Write the response, if there is one."""
        self._in_flight.pop(self, None)
        if response.message:
            self._output.write_message(response.message)
