"""Stdio server I/O with a fast path before the SDK.

Raw calls are dispatched at once; all other lines go to the SDK.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import cast

import anyio
import anyio.lowlevel

from mcp_gateway.plugin import RawResponse, SupportsRawDispatch, SupportsStart, replace_lone_surrogates, to_line
from mcp_gateway_transport_stdio.framing import LineSplitter, OversizedLine, encode_oversize_error
from mcp_gateway_transport_stdio.pipes import grow_pipe

FirstAnswerFn = Callable[[bytes], bytes | None]
"""Returns the response to the first message, or None."""

MOST_WAITING = 1000
"""How many lines may wait for the SDK before reading from the client pauses."""

# Polled, because asyncio signals when its write buffer is short, not when it is empty.
_LOOK_SECONDS = 0.02

_LARGE = 64 << 10
"""From how many bytes on the line break is written separately, because joining would copy the line."""

_ROOM = 1 << 20
"""The size of the output pipe's buffer in bytes, where it can be set."""


class StdioServerProtocol(asyncio.Protocol):
    """Stdio protocol that iterates over the lines for the SDK.

    It reads and writes lines; raw calls do not reach the SDK.
    """

    def __init__(self, answer_first: FirstAnswerFn, longest: int) -> None:
        """Create a protocol with an early handshake and line limit.

        `answer_first` may answer the first line; lines of more than `longest` bytes are rejected.
        """
        self._answer_first: FirstAnswerFn | None = answer_first
        self._initialize_id: object = None
        self._first_line_received = asyncio.Event()
        self._server: SupportsRawDispatch | None = None
        # Unbounded, because a callback cannot wait; reading pauses at MOST_WAITING instead.
        self._lines_in, self._lines_out = anyio.create_memory_object_stream[str](float("inf"))
        self._lines = LineSplitter(self._on_line, self._on_long_line, longest)
        self._calls: set[asyncio.Task[None]] = set()
        self._started_calls: set[SupportsStart] = set()
        self._writable = asyncio.Event()
        self._writable.set()
        self._reading: asyncio.ReadTransport | None = None
        self.writing: asyncio.WriteTransport | None = None
        self._is_reading_paused = False

    # -- reading

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport of the input."""
        self._reading = cast("asyncio.ReadTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Handle received bytes: split and dispatch the lines."""
        self._lines.feed(data)

    def eof_received(self) -> None:
        """Handle the last line, even without a line break."""
        self._lines.flush()

    def connection_lost(self, _: Exception | None) -> None:
        """Handle EOF: the client has closed its end."""
        self._first_line_received.set()
        self._lines_in.close()

    async def wait_for_client(self) -> None:
        """Wait for the client's first message or EOF."""
        await self._first_line_received.wait()

    def set_server(self, server: object) -> None:
        """Dispatch plain calls to `server`, if it supports that."""
        self._server = server if isinstance(server, SupportsRawDispatch) else None

    def _on_line(self, line: bytes) -> None:
        if self._answer_first is not None:
            self._on_first_line(line, self._answer_first)
        answering = None if self._server is None else self._server.dispatch_raw(line)
        if answering is not None:
            begun = cast("SupportsStart", answering) if hasattr(answering, "start") else None
            if begun is not None and begun.start(partial(self._on_result, begun)):
                self._started_calls.add(begun)
                return
            call = asyncio.get_running_loop().create_task(self._answer(answering))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
            return
        try:
            self._lines_in.send_nowait(replace_lone_surrogates(line).decode("utf-8", "replace"))
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            return
        if not self._is_reading_paused and self._waiting() > MOST_WAITING and self._reading is not None:
            self._is_reading_paused = True
            self._reading.pause_reading()

    def _on_first_line(self, line: bytes, answer_first: FirstAnswerFn) -> None:
        """Answer an `initialize` on the first line.

        The SDK gets the line, too, but its response is dropped.
        """
        self._answer_first = None
        self._first_line_received.set()
        answer = answer_first(line)
        if answer is not None:
            self._initialize_id = json.loads(answer)["id"]
            self._write(answer + b"\n")

    def _on_long_line(self, line: OversizedLine) -> None:
        self._write(encode_oversize_error(line, self._lines.limit) + b"\n")

    def _waiting(self) -> int:
        return self._lines_out.statistics().current_buffer_used

    async def __aiter__(self) -> AsyncIterator[str]:
        """Iterate over the lines for the SDK."""
        async for line in self._lines_out:
            if self._is_reading_paused and not self._waiting() and self._reading is not None:
                self._is_reading_paused = False
                self._reading.resume_reading()
            yield line

    # -- writing

    def _on_result(self, begun: SupportsStart, answer: RawResponse) -> None:
        self._started_calls.discard(begun)
        if not answer.message:
            return
        line = to_line(answer.message)
        if len(line) < _LARGE:
            self._write(line + b"\n")
        else:
            # Joining would copy it.
            self._write(line)
            self._write(b"\n")

    async def _answer(self, answering: Awaitable[RawResponse]) -> None:
        answer = await answering
        if answer.message:
            self._write(to_line(answer.message) + b"\n")
            await self._writable.wait()

    async def write(self, text: str) -> None:
        """Write a message of the SDK."""
        # Checked only until the repeated response was seen, which happens once in a connection.
        if self._initialize_id is not None and self._is_repeated_initialize(text):
            self._initialize_id = None
            return
        self._write(text.encode("utf-8", "replace"))
        await self._writable.wait()

    def _is_repeated_initialize(self, text: str) -> bool:
        """Whether a message repeats the early `initialize` response.

        The client already has that response.
        """
        message = json.loads(text)
        return "method" not in message and message.get("id") == self._initialize_id

    async def flush(self) -> None:
        """Do nothing: writes are not buffered here."""

    def _write(self, line: bytes) -> None:
        if self.writing is not None and not self.writing.is_closing():
            self.writing.write(line)

    def set_write_paused(self, *, please: bool) -> None:
        """Mark the output as congested, or as writable again."""
        if please:
            self._writable.clear()
        else:
            self._writable.set()

    def pending_calls(self) -> int:
        """The number of raw calls in progress."""
        return len(self._calls) + len(self._started_calls)

    def is_read(self) -> bool:
        """Whether the client can still read output."""
        return self.writing is not None and not self.writing.is_closing()

    async def drain(self, seconds: float) -> None:
        """Wait until all output is written, at most `seconds`."""
        writing = self.writing
        with anyio.move_on_after(seconds):
            while writing and not writing.is_closing() and writing.get_write_buffer_size():  # noqa: ASYNC110  # no event
                await anyio.sleep(_LOOK_SECONDS)

    async def close(self) -> None:
        """Cancel the raw calls, and close both pipes.

        All buffered data is written first.
        """
        for begun in self._started_calls:
            begun.cancel()
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        self._lines_in.close()
        self._lines_out.close()
        for transport in (self._reading, self.writing):
            if transport is not None:
                transport.close()


class _WriteProtocol(asyncio.BaseProtocol):
    """Protocol of the output pipe, for flow control."""

    def __init__(self, hold: Callable[[bool], None]) -> None:
        self._hold = hold

    def pause_writing(self) -> None:
        self._hold(True)  # noqa: FBT003  # the only argument

    def resume_writing(self) -> None:
        self._hold(False)  # noqa: FBT003

    def connection_lost(self, _: Exception | None) -> None:
        self._hold(False)  # noqa: FBT003


@asynccontextmanager
async def open_server_io(answer_first: FirstAnswerFn, reading: int, longest: int) -> AsyncIterator[StdioServerProtocol]:
    """Serve over descriptor `reading` and standard output.

    Meanwhile standard error replaces standard output for all others.
    """
    loop = asyncio.get_running_loop()
    pipes = StdioServerProtocol(answer_first, longest)
    with (
        _reserve_stdout() as output,
        os.fdopen(os.dup(reading), "rb", 0) as incoming,
        os.fdopen(os.dup(output), "wb", 0) as outgoing,
    ):
        grow_pipe(outgoing.fileno(), _ROOM)
        pipes.writing, _ = await loop.connect_write_pipe(
            lambda: _WriteProtocol(lambda wait: pipes.set_write_paused(please=wait)), outgoing
        )
        await loop.connect_read_pipe(lambda: pipes, incoming)
        try:
            yield pipes
        finally:
            with anyio.CancelScope(shield=True):
                await pipes.close()
                # Transports close their files in the next iteration of the event loop.
                await anyio.lowlevel.checkpoint()


@contextmanager
def _reserve_stdout() -> Iterator[int]:
    """Reserve standard output; redirect other output to standard error."""
    wire = os.dup(1)
    # Output that a plugin or library prints would corrupt the protocol.
    os.dup2(2, 1)
    try:
        yield wire
    finally:
        # The event loop made it non-blocking, which affects all processes that share this open file.
        os.set_blocking(wire, True)
        os.dup2(wire, 1)
        os.close(wire)
