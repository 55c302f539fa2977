"""A child process and its pipes: lines in both directions, without a task or a copy more than they need."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import anyio

from mcp_gateway_transport_stdio.lines import Lines

log = logging.getLogger(__name__)

EXIT_SECONDS = 2.0
"""How long a server may take to exit by itself once its input is closed; then it is told to, then it is killed."""

_LOOK_SECONDS = 0.02


class Pipes(asyncio.SubprocessProtocol):
    """The pipes of a child. `lines` gets all that it writes, `on_end` hears once that there will be no more."""

    def __init__(self, lines: Lines, on_end: Callable[[], None]) -> None:
        """Feed `lines`."""
        self._lines, self._on_end = lines, on_end
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.SubprocessTransport | None = None
        self._stdin: asyncio.WriteTransport | None = None
        self._stdout: asyncio.ReadTransport | None = None
        self.exited = asyncio.Event()
        self.closed = False

    # -- what the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of the pipes."""
        self._transport = cast("asyncio.SubprocessTransport", transport)
        self._stdin = cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0))
        self._stdout = cast("asyncio.ReadTransport", self._transport.get_pipe_transport(1))

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Take what came."""
        if fd == 1 and not self.closed:
            self._lines.feed(data)

    def pipe_connection_lost(self, fd: int, _: Exception | None) -> None:
        """Take note that the child closed a pipe; without one of them there is no session."""
        if fd in (0, 1):
            self._end()

    def process_exited(self) -> None:
        """Take note that the child is gone."""
        self.exited.set()

    def pause_writing(self) -> None:
        """Wait with writing: the child does not read."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Write again."""
        self._writable.set()

    # -- what its owner does

    def write(self, line: bytes) -> None:
        """Write a line, whose end is added."""
        if self.closed or self._stdin is None or self._stdin.is_closing():
            raise BrokenPipeError
        self._stdin.write(line + b"\n")

    @property
    def is_writable(self) -> bool:
        """Whether a line can be written, and the child has read most of what was written before."""
        return self._writable.is_set() and not (self.closed or self._stdin is None or self._stdin.is_closing())

    async def writable(self) -> None:
        """Wait until the child has read most of what was written."""
        await self._writable.wait()

    def read_on(self, *, please: bool) -> None:
        """Read on, or stop reading until told otherwise."""
        if self._stdout is not None and not self.closed:
            with suppress(RuntimeError):  # it is so already
                (self._stdout.resume_reading if please else self._stdout.pause_reading)()

    def _end(self) -> None:
        if not self.closed:
            self.closed = True
            self._writable.set()
            self._on_end()

    async def stop(self) -> None:
        """Close the child's input, and see to it that the child and its own children end."""
        self._end()
        if self._transport is None:
            return
        if self._stdin is not None:
            self._stdin.close()
        with anyio.CancelScope(shield=True):
            for number in (None, signal.SIGTERM, signal.SIGKILL):
                if number is not None:
                    _signal(self._transport.get_pid(), number)
                with anyio.move_on_after(EXIT_SECONDS):
                    await self.exited.wait()
                    break
            else:
                log.warning("process %d is still alive after it was killed", self._transport.get_pid())
            await _end_group(self._transport.get_pid())
        with suppress(PermissionError):
            self._transport.close()


async def _end_group(group: int) -> None:
    """End what a process has started and left behind when it ended."""
    if not _signal(group, signal.SIGTERM):
        return
    with anyio.move_on_after(EXIT_SECONDS):
        while _signal(group, 0):  # noqa: ASYNC110  # they are nobody's children any more
            await anyio.sleep(_LOOK_SECONDS)
        return
    _signal(group, signal.SIGKILL)


def _signal(group: int, number: int) -> bool:
    """Send a signal to all of a group; say whether there is anybody in it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class Program:
    """What to start, where, and with what; `errors` is its standard error."""

    command: Sequence[str]
    environment: Mapping[str, str]
    directory: Path | None
    errors: IO[Any]


@asynccontextmanager
async def child(program: Program, lines: Lines, on_end: Callable[[], None]) -> AsyncIterator[Pipes]:
    """Start a process in a group of its own; end the whole group afterwards.

    Raises:
        OSError: it cannot be started.

    """
    loop = asyncio.get_running_loop()
    _, pipes = await loop.subprocess_exec(
        lambda: Pipes(lines, on_end),
        *program.command,
        env=program.environment,
        cwd=program.directory,
        stderr=program.errors,
        start_new_session=True,
    )
    try:
        yield pipes
    finally:
        await pipes.stop()
