"""A child process with line-framed pipes.

It uses asyncio's protocols directly, which saves a task per pipe and a copy of the data.
"""

from __future__ import annotations

import asyncio
import select
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any, cast

from mcp_gateway.plugin import to_line
from mcp_gateway_transport_stdio.child.process_group import end_group, watch_exit
from mcp_gateway_transport_stdio.framing import LineSplitter
from mcp_gateway_transport_stdio.pipes import grow_pipe

_TURN_SECONDS = 0.005
"""How long received data is processed at once, and how long the pause for other tasks is."""

_DONE = object()

_ROOM = 256 << 10
"""The size of the pipe's buffer in bytes: as much as is read at once. Linux allows a user 64 MiB in all."""


class ChildProcess(asyncio.Protocol):
    """The pipes of a child process.

    All output of the child goes to `lines`; `on_end` is called once, when the session ends.
    """

    def __init__(self, process: subprocess.Popen[bytes], lines: LineSplitter, on_end: Callable[[], None]) -> None:
        """Create the pipes, unconnected."""
        self._process, self._lines, self._on_end = process, lines, on_end
        self._writable = asyncio.Event()
        self._writable.set()
        self._stdin: asyncio.WriteTransport | None = None
        self._stdout: asyncio.ReadTransport | None = None
        self._steps: Iterator[None] = iter(())
        self._is_busy = self._is_held = False
        self._poll: select.poll | None = None
        self.exited = asyncio.Event()
        self.closed = False

    async def connect(self) -> None:
        """Connect the pipes to the event loop; watch the child's exit."""
        loop = asyncio.get_running_loop()
        watch_exit(self._process, loop, self.exited.set)
        if self._process.stdout is not None:
            grow_pipe(self._process.stdout.fileno(), _ROOM)
        if self._process.stdin is not None and hasattr(select, "poll"):
            # The event loop reports a broken pipe with a delay, in which written data might be lost unnoticed.
            self._poll = select.poll()
            self._poll.register(self._process.stdin.fileno(), 0)
        self._stdin, _ = await loop.connect_write_pipe(lambda: _StdinProtocol(self), self._process.stdin)
        await loop.connect_read_pipe(lambda: self, self._process.stdout)

    # -- callbacks of the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport of the child's output."""
        self._stdout = cast("asyncio.ReadTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Process data, for some milliseconds at a time.

        Reading pauses until all of it is processed.
        """
        self._steps = chain(self._steps, self._lines.steps(data)) if self._is_busy else self._lines.steps(data)
        if not self._is_busy:
            self._work()

    def _work(self) -> None:
        """Process some more of the received data."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _TURN_SECONDS
        self._is_busy = False
        while not self.closed and next(self._steps, _DONE) is not _DONE:
            if self._is_held or loop.time() >= end:
                self._is_busy = True
                break
        self._adjust()
        if self._is_busy and not self._is_held:
            loop.call_later(_TURN_SECONDS, self._work)

    def connection_lost(self, _: Exception | None) -> None:
        """Handle the child's EOF: end the session.

        Without the child's output a session is useless.
        """
        self.end()

    # -- methods for the owner

    def set_write_paused(self, *, please: bool) -> None:
        """Mark the child's stdin as congested, or as writable again."""
        (self._writable.clear if please else self._writable.set)()

    def write(self, line: bytes) -> None:
        """Write a message as one line, adding the line break.

        Raises:
            BrokenPipeError: the child cannot read it; no byte was written.

        """
        if self.closed or self._stdin is None or self._stdin.is_closing() or self._is_broken():
            raise BrokenPipeError
        self._stdin.write(to_line(line) + b"\n")

    def _is_broken(self) -> bool:
        """Whether the other end of the child's input is closed.

        The event loop would report that only later.
        """
        return self._poll is not None and any(event & select.POLLERR for _, event in self._poll.poll(0))

    @property
    def is_writable(self) -> bool:
        """Whether the child's stdin is open and not congested.

        It is congested until the child has read most of the data written before.
        """
        return self._writable.is_set() and not (self.closed or self._stdin is None or self._stdin.is_closing())

    async def wait_writable(self) -> None:
        """Wait until the child has read most of the written data."""
        await self._writable.wait()

    def set_reading(self, *, please: bool) -> None:
        """Resume or pause reading on behalf of the session."""
        was_held, self._is_held = self._is_held, not please
        # Data received before the pause is still unprocessed, and no event will trigger that.
        if was_held and please and self._is_busy:
            asyncio.get_running_loop().call_soon(self._work)
        self._adjust()

    def _adjust(self) -> None:
        """Pause reading while data is unprocessed or the session is paused."""
        if self._stdout is not None and not self.closed:
            with suppress(RuntimeError):  # already in that state
                stops = self._is_busy or self._is_held
                (self._stdout.pause_reading if stops else self._stdout.resume_reading)()

    def end(self) -> None:
        """Mark the session as ended; call `on_end` once."""
        if not self.closed:
            self.closed = True
            # Release waiting writers: the child will not read any more.
            self._writable.set()
            self._on_end()

    async def stop(self) -> None:
        """Close the child's stdin; end its process group."""
        self.end()
        if self._stdin is not None:
            self._stdin.close()
        await end_group(self._process.pid, self.exited)
        if self._stdout is not None:
            self._stdout.close()


class _StdinProtocol(asyncio.BaseProtocol):
    """Protocol of the pipe to a child's stdin, for flow control."""

    def __init__(self, pipes: ChildProcess) -> None:
        self._pipes = pipes

    def pause_writing(self) -> None:
        self._pipes.set_write_paused(please=True)

    def resume_writing(self) -> None:
        self._pipes.set_write_paused(please=False)

    def connection_lost(self, _: Exception | None) -> None:
        self._pipes.end()


@dataclass(frozen=True, slots=True)
class ChildCommand:
    """A command with its environment, directory and stderr file."""

    command: Sequence[str]
    environment: Mapping[str, str]
    directory: Path | None
    errors: IO[Any]


@asynccontextmanager
async def open_child(
    program: ChildCommand, lines: LineSplitter, on_end: Callable[[], None]
) -> AsyncIterator[ChildProcess]:
    """Start a child process in a new process group.

    The whole group is terminated on exit.

    Raises:
        OSError: the process cannot be started.

    """
    # Not by the event loop: uvloop forks, which copies the memory map and takes ten times as long.
    process = subprocess.Popen(  # noqa: ASYNC220, S603  # a millisecond; what the configuration says
        program.command,
        bufsize=0,
        env=program.environment,
        cwd=program.directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=program.errors,
        # In a group of its own, so that its children can be ended with it and Ctrl-C reaches the gateway only.
        start_new_session=True,
    )
    pipes = ChildProcess(process, lines, on_end)
    try:
        await pipes.connect()
        yield pipes
    finally:
        await pipes.stop()
