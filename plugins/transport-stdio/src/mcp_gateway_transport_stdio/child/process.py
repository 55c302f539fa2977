"""A child process with line-framed pipes.

There is no task and no copy more than the lines need.
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
"""How long what a child wrote is worked on before others have their turn, and how long that is."""

_DONE = object()

_ROOM = 256 << 10
"""How much a child may write before it is read: as much as is read at once. A user has 64 MiB of it in all."""


class ChildProcess(asyncio.Protocol):
    """The pipes of a child process.

    `lines` is fed all that the child writes; `on_end` is called once, at the end.
    """

    def __init__(self, process: subprocess.Popen[bytes], lines: LineSplitter, on_end: Callable[[], None]) -> None:
        """Feed `lines`."""
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
        """Take the pipes over, and hear when the child is gone."""
        loop = asyncio.get_running_loop()
        watch_exit(self._process, loop, self.exited.set)
        if self._process.stdout is not None:
            grow_pipe(self._process.stdout.fileno(), _ROOM)
        if self._process.stdin is not None and hasattr(select, "poll"):
            # The event loop says a moment later that a pipe is broken: what is written till then may be lost or not.
            self._poll = select.poll()
            self._poll.register(self._process.stdin.fileno(), 0)
        self._stdin, _ = await loop.connect_write_pipe(lambda: _StdinProtocol(self), self._process.stdin)
        await loop.connect_read_pipe(lambda: self, self._process.stdout)

    # -- what the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of the pipe that is read."""
        self._stdout = cast("asyncio.ReadTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Process data, for some milliseconds at a time.

        No more is read before that is done.
        """
        self._steps = chain(self._steps, self._lines.steps(data)) if self._is_busy else self._lines.steps(data)
        if not self._is_busy:
            self._work()

    def _work(self) -> None:
        """Take some more of what came."""
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

        Without the child's output there is no session.
        """
        self.end()

    # -- what its owner does

    def set_write_paused(self, *, please: bool) -> None:
        """Wait with writing, or write again: the child does not read."""
        (self._writable.clear if please else self._writable.set)()

    def write(self, line: bytes) -> None:
        """Write a message in one line, whose end is added.

        Raises:
            BrokenPipeError: nobody can read it, and not a byte of it was written.

        """
        if self.closed or self._stdin is None or self._stdin.is_closing() or self._is_broken():
            raise BrokenPipeError
        self._stdin.write(to_line(line) + b"\n")

    def _is_broken(self) -> bool:
        """Whether the other end of the child's input is closed.

        The event loop reports it later.
        """
        return self._poll is not None and any(event & select.POLLERR for _, event in self._poll.poll(0))

    @property
    def is_writable(self) -> bool:
        """Whether the child's stdin is open and not congested.

        It is congested until the child has read nearly all that was written before.
        """
        return self._writable.is_set() and not (self.closed or self._stdin is None or self._stdin.is_closing())

    async def wait_writable(self) -> None:
        """Wait until the child has read most of what was written."""
        await self._writable.wait()

    def set_reading(self, *, please: bool) -> None:
        """Read on, or stop reading until told otherwise."""
        was_held, self._is_held = self._is_held, not please
        # What came before the pause is still to be worked on, and no event will tell of it.
        if was_held and please and self._is_busy:
            asyncio.get_running_loop().call_soon(self._work)
        self._adjust()

    def _adjust(self) -> None:
        """Read, or do not."""
        if self._stdout is not None and not self.closed:
            with suppress(RuntimeError):  # it is so already
                stops = self._is_busy or self._is_held
                (self._stdout.pause_reading if stops else self._stdout.resume_reading)()

    def end(self) -> None:
        """Take note that there is no session any more."""
        if not self.closed:
            self.closed = True
            # Who waits to write must not wait for a child that reads nothing any more.
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
    """The pipe into a child: whether it reads."""

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
        OSError: it cannot be started.

    """
    # Not by the event loop: uvloop's way copies the memory map and takes ten times as long.
    process = subprocess.Popen(  # noqa: ASYNC220, S603  # a millisecond; what the configuration says
        program.command,
        bufsize=0,
        env=program.environment,
        cwd=program.directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=program.errors,
        # A group of its own: its children end with it, and Ctrl-C in the terminal is for the gateway only.
        start_new_session=True,
    )
    pipes = ChildProcess(process, lines, on_end)
    try:
        await pipes.connect()
        yield pipes
    finally:
        await pipes.stop()
