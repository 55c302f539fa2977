"""Stdio towards the client: lines in and out.

Each message is offered to the gateway as bytes; what it does not take goes to the SDK's server.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import cast

import anyio
import anyio.lowlevel

from mcp_gateway.plugin import SupportsRawDispatch, replace_lone_surrogates, unwrap_message
from mcp_gateway_transport_stdio.blocking_files import BlockingReader, BlockingWriter
from mcp_gateway_transport_stdio.framing import LineSplitter, OversizedLine, encode_oversize_error, to_utf8
from mcp_gateway_transport_stdio.pipes import can_poll, grow_pipe
from mcp_gateway_transport_stdio.server_output import PipeWriter, ServerOutput

FirstAnswerFn = Callable[[bytes], bytes | None]
"""Returns the response to the first message, or None."""

MOST_WAITING = 1000
"""How many lines may wait for the SDK before reading from the client pauses."""

_ROOM = 1 << 20
"""The size of the output pipe's buffer in bytes, where it can be set."""


class StdioServerProtocol(asyncio.Protocol):
    """Reads the client's lines, and dispatches them as bytes.

    Lines that are not taken are for the SDK. The SDK's server iterates over its lines here, and writes here.
    """

    def __init__(self, answer_first: FirstAnswerFn, longest: int) -> None:
        """Create a protocol with an early handshake and line limit.

        `answer_first` may answer the first line; lines of more than `longest` bytes are rejected.
        """
        self.output = ServerOutput(self._on_output_change)
        self._answer_first: FirstAnswerFn | None = answer_first
        self._initialize_id: object = None
        self._first_line_received = asyncio.Event()
        self._server: SupportsRawDispatch | None = None
        # What came before the server was loaded.
        self._early: list[bytes] | None = []
        # Without a bound, since a line cannot wait: the pipe is not read beyond MOST_WAITING.
        self._lines_in, self._lines_out = anyio.create_memory_object_stream[str](float("inf"))
        self._waiting = self._waiting_size = 0
        self._lines = LineSplitter(self._on_line, self._on_long_line, longest)
        self._in_flight: dict[PipeWriter, Callable[[], None]] = {}
        self._reading: asyncio.ReadTransport | None = None
        self._is_reading_paused = self._is_ended = False

    # -- reading

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport of the input."""
        self._reading = cast("asyncio.ReadTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Handle received bytes: split and dispatch the lines."""
        self._lines.feed(data)
        self._adjust_reading()

    def eof_received(self) -> bool | None:
        """Handle the last line, even without a line break."""
        self._lines.flush()
        return None

    def connection_lost(self, _: Exception | None) -> None:
        """Handle EOF: the client has closed its end."""
        self._first_line_received.set()
        self._is_ended = True
        if self._early is None:
            self._lines_in.close()

    async def wait_for_client(self) -> None:
        """Wait for the client's first message or EOF."""
        await self._first_line_received.wait()

    def set_server(self, server: object) -> None:
        """Dispatch to `server`, if it can; first what waits."""
        self._server = server if isinstance(server, SupportsRawDispatch) else None
        early, self._early = self._early or [], None
        self._waiting = self._waiting_size = 0
        for line in early:
            self._dispatch(line)
        if self._is_ended:
            self._lines_in.close()
        self._adjust_reading()

    def _on_line(self, line: bytes) -> None:
        message = unwrap_message(to_utf8(line))
        if not message:
            return
        if self._answer_first is not None:
            self._on_first_line(message, self._answer_first)
        if self._early is None:
            self._dispatch(message)
        else:
            self._early.append(message)
            self._count_waiting(message)

    def _dispatch(self, message: bytes) -> None:
        if self._server is not None:
            writer = PipeWriter(self.output, self._in_flight)
            abandon = self._server.dispatch_raw(message, None, None, writer)
            if abandon is not None:
                self._in_flight[writer] = abandon
                return
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._lines_in.send_nowait(replace_lone_surrogates(message).decode())
            self._count_waiting(message)

    def _count_waiting(self, message: bytes) -> None:
        self._waiting += 1
        self._waiting_size += len(message)

    def _on_first_line(self, line: bytes, answer_first: FirstAnswerFn) -> None:
        """Answer an `initialize` on the first line.

        The SDK gets the line, too, but its response is dropped.
        """
        self._answer_first = None
        self._first_line_received.set()
        answer = answer_first(line)
        if answer is not None:
            self._initialize_id = json.loads(answer)["id"]
            self.output.write_message(answer)

    def _on_long_line(self, line: OversizedLine) -> None:
        self.output.write_message(encode_oversize_error(line, self._lines.limit))

    def _adjust_reading(self) -> None:
        """Read, unless too much waits on either side."""
        if not self._waiting:
            self._waiting_size = 0
        # By bytes, too: a thousand of the longest lines would be gigabytes.
        is_much = self._waiting > MOST_WAITING or self._waiting_size > self._lines.limit or self.output.is_full
        # Once paused, it is read on when all is done.
        should_pause = is_much or (self._is_reading_paused and self._waiting > 0)
        if self._reading is None or self._reading.is_closing() or should_pause == self._is_reading_paused:
            return
        if self._is_ended:  # a socket that is still written to
            return
        self._is_reading_paused = should_pause
        (self._reading.pause_reading if should_pause else self._reading.resume_reading)()

    async def __aiter__(self) -> AsyncIterator[str]:
        """Iterate over the lines for the SDK."""
        async for line in self._lines_out:
            self._waiting -= 1
            if self._is_reading_paused:
                self._adjust_reading()
            yield line

    # -- writing

    async def write(self, text: str) -> None:
        """Write a message of the SDK."""
        # Checked only until the repeated response was seen, which happens once in a connection.
        if self._initialize_id is not None and self._is_repeated_initialize(text):
            self._initialize_id = None
            return
        self.output.write(text.encode("utf-8", "replace"))
        await self.output.wait_writable()

    def _is_repeated_initialize(self, text: str) -> bool:
        """Whether a message repeats the early `initialize` response.

        The client already has that response.
        """
        message = json.loads(text)
        return "method" not in message and message.get("id") == self._initialize_id

    def on_era_end(self) -> None:
        """Handle the end of the SDK's run.

        A repeated response that did not come must not be dropped in the next run.
        """
        self._initialize_id = None

    async def flush(self) -> None:
        """Do nothing: writes are not buffered here."""

    def _on_output_change(self) -> None:
        """Read on if the client reads; otherwise it has left.

        The other pipe may stay open: processes that the client has started can have inherited it.
        """
        if not self.output.is_open:
            self.abandon()
            if self._reading is not None:
                self._reading.close()
        self._adjust_reading()

    # -- the end

    @property
    def in_flight(self) -> int:
        """The number of dispatched messages that are not answered yet."""
        return len(self._in_flight)

    def abandon(self) -> None:
        """Abandon all that is in flight: the client has left."""
        in_flight = list(self._in_flight.values())
        self._in_flight.clear()
        for abandon in in_flight:
            abandon()

    def close(self) -> None:
        """Abandon what is in flight, and close both pipes.

        All buffered data is written first.
        """
        self.abandon()
        self._lines_in.close()
        self._lines_out.close()
        if self._reading is not None:
            self._reading.close()
        self.output.close()


@asynccontextmanager
async def open_server_io(
    answer_first: FirstAnswerFn, reading: int, writing: int, longest: int
) -> AsyncIterator[StdioServerProtocol]:
    """Read and write these descriptors, which stay open."""
    loop = asyncio.get_running_loop()
    pipes = StdioServerProtocol(answer_first, longest)
    with os.fdopen(os.dup(reading), "rb", 0) as incoming, os.fdopen(os.dup(writing), "wb", 0) as outgoing:
        if can_poll(writing):
            grow_pipe(outgoing.fileno(), _ROOM)
            await loop.connect_write_pipe(lambda: pipes.output, outgoing)
        else:
            BlockingWriter(writing, pipes.output)
        if can_poll(reading):
            await loop.connect_read_pipe(lambda: pipes, incoming)
        else:
            BlockingReader(reading, pipes)
        try:
            yield pipes
        finally:
            with anyio.CancelScope(shield=True):
                pipes.close()
                # Transports close their files in the next turn of the loop.
                await anyio.lowlevel.checkpoint()
