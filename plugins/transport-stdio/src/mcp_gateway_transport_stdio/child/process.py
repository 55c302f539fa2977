"""A child process with line-framed pipes.

It uses asyncio's protocols directly, which saves a task per pipe and a copy of the data.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import chain
from typing import cast

import anyio

from mcp_gateway.plugin import to_line
from mcp_gateway_transport_stdio.child.listener import ChildListener
from mcp_gateway_transport_stdio.child.supervised_process import (
    ChildCommand,
    SupervisedProcess,
    Supervisor,
    open_process,
)
from mcp_gateway_transport_stdio.pipes import grow_pipe

_TURN_SECONDS = 0.005
"""How long received data is processed at once, and how long the pause for other tasks is."""

_STATUS_SECONDS = 0.3
"""How long the exit of a process may take after the end of its output, and that after the exit."""

_DONE = object()

_PIECE = 64 << 10
_ROOM = 256 << 10
"""The size of the pipe's buffer in bytes: as much as is read at once. Linux allows a user 64 MiB in all."""


class ChildProcess(asyncio.Protocol):
    """The pipes of a child process.

    Reading is paused at first.
    """

    def __init__(self, process: SupervisedProcess, listener: ChildListener) -> None:
        """Tell `listener` what happens."""
        self._process, self._listener = process, listener
        self._stdin: asyncio.WriteTransport | None = None
        self._stdout: asyncio.ReadTransport | None = None
        self._steps: Iterator[None] = iter(())
        self._is_busy, self._is_held, self._is_read = False, True, True
        self._is_congested = False
        self._pipe: int | None = None
        self._poll: select.poll | None = None
        # Asking for it takes a system call each time (Python 3.11).
        self._loop = asyncio.get_running_loop()
        self.closed = False
        self.status: int | None = None
        """How the process has exited by itself; see `SupervisedProcess`."""

    async def connect(self) -> None:
        """Connect the pipes to the event loop."""
        loop = self._loop
        self._process.owns_pipes, self._process.on_exit = False, self._on_exit
        grow_pipe(self._process.stdout.fileno(), _ROOM)
        if hasattr(select, "poll"):
            # The event loop reports a broken pipe with a delay, in which written data might be lost unnoticed.
            self._pipe = self._process.stdin.fileno()
            self._poll = select.poll()
            self._poll.register(self._pipe, 0)
        self._stdin, _ = await loop.connect_write_pipe(lambda: _StdinProtocol(self), self._process.stdin)
        await loop.connect_read_pipe(lambda: self, self._process.stdout)

    # -- callbacks of the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport of the child's output."""
        self._stdout = cast("asyncio.ReadTransport", transport)
        self._adjust_reading()

    def data_received(self, data: bytes) -> None:
        """Process data, for some milliseconds at a time.

        Reading pauses until all of it is processed.
        """
        steps = self._listener.lines.steps(data)
        if self._is_busy:
            self._steps = chain(self._steps, steps)
        else:
            self._steps = steps
            self._work()

    def _work(self) -> None:
        """Process some of what came."""
        loop = self._loop
        end = loop.time() + _TURN_SECONDS
        self._is_busy = True
        while not self._is_held:
            if self.closed or next(self._steps, _DONE) is _DONE:
                self._is_busy = False
                break
            if loop.time() >= end:
                loop.call_later(_TURN_SECONDS, self._work)
                break
        self._adjust_reading()

    def connection_lost(self, _: Exception | None) -> None:
        """Handle the child's EOF: end the session.

        Without the child's output a session is useless.
        """
        self._finish(())

    def on_stdin_lost(self) -> None:
        """End the session, after what was written before.

        The end of a child's input may be heard of before its last output.
        """
        self._finish(self._read_rest())

    def _on_exit(self) -> None:
        """End the session if others hold the output open.

        A program that exits before its first answer may have been the launcher of the server.
        """
        if self._listener.has_answered:
            self._loop.call_later(_STATUS_SECONDS, self._finish_exited)

    def _finish_exited(self) -> None:
        if not self.closed and (self._is_busy or self._is_held):
            self._loop.call_later(_STATUS_SECONDS, self._finish_exited)
        else:
            self._finish(self._read_rest())

    def _finish(self, rest: Iterable[bytes]) -> None:
        """Process all that has come, then end the session."""
        for data in chain((b"",), rest):
            self._steps = chain(self._steps, self._listener.lines.steps(data))
            while not self.closed and next(self._steps, _DONE) is not _DONE:
                pass
        if not self.closed:
            self._listener.on_eof()
            self.end()

    def _read_rest(self) -> Iterator[bytes]:
        """Read what is in the pipe now: others may hold it open."""
        stdout = self._process.stdout
        if self._stdout is None or self.closed:
            return
        with suppress(OSError, ValueError):  # nothing is there, or it is closed
            for _ in range(_ROOM // _PIECE):
                if not (data := os.read(stdout.fileno(), _PIECE)):
                    break
                yield data

    # -- methods for the owner

    def set_write_paused(self, *, paused: bool) -> None:
        """Wait with writing, or write again: the child does not read."""
        self._is_congested = paused
        if not paused:
            self._listener.on_writable()

    def write(self, line: bytes) -> None:
        """Write a message as one line, adding the line break.

        Raises:
            BrokenPipeError: the child cannot read it; no byte was written.

        """
        if self.closed or (stdin := self._stdin) is None or stdin.is_closing():
            raise BrokenPipeError
        data = to_line(line) + b"\n"
        if self._pipe is not None and not stdin.get_write_buffer_size():
            data = data[_write_some(self._pipe, data) :]
        elif self._is_broken():
            raise BrokenPipeError
        if data:
            stdin.write(data)

    def _is_broken(self) -> bool:
        """Whether the other end of the child's input is closed.

        The event loop would report that only later.
        """
        return self._poll is not None and any(event & select.POLLERR for _, event in self._poll.poll(0))

    @property
    def is_congested(self) -> bool:
        """Whether the child has still to read most of what was written."""
        return self._is_congested and not self.closed

    def set_reading_paused(self, *, paused: bool) -> None:
        """Stop reading, or read on."""
        was_held, self._is_held = self._is_held, paused
        # What came before the pause is still to be worked on, and no event will tell of it.
        if was_held and not paused and self._is_busy:
            self._loop.call_soon(self._work)
        self._adjust_reading()

    def _adjust_reading(self) -> None:
        """Read, or do not."""
        should_read = not (self._is_busy or self._is_held)
        if self._stdout is None or self.closed or should_read == self._is_read:
            return
        self._is_read = should_read
        with suppress(RuntimeError):  # it is closing
            (self._stdout.resume_reading if should_read else self._stdout.pause_reading)()

    def end(self) -> None:
        """Mark the session as ended; call `on_end` once."""
        if not self.closed:
            self.closed = True
            self._listener.on_end()

    async def stop(self) -> None:
        """Close the child's stdin, wait for its end; close its stdout.

        A child that has closed its output has a moment to exit: how it does explains the failure.
        """
        try:
            if self.closed:
                with anyio.move_on_after(_STATUS_SECONDS):
                    await self._process.exited.wait()
            self.status = self._process.status
            self.end()
            if self._stdin is not None:
                self._stdin.close()
            await self._process.end()
        finally:
            if self._stdout is not None:
                self._stdout.close()


class _StdinProtocol(asyncio.BaseProtocol):
    """Protocol of the pipe to a child's stdin, for flow control."""

    def __init__(self, pipes: ChildProcess) -> None:
        self._pipes = pipes

    def pause_writing(self) -> None:
        self._pipes.set_write_paused(paused=True)

    def resume_writing(self) -> None:
        self._pipes.set_write_paused(paused=False)

    def connection_lost(self, _: Exception | None) -> None:
        self._pipes.on_stdin_lost()


def _write_some(pipe: int, data: bytes) -> int:
    """Write what a pipe takes now; return how many bytes.

    Raises:
        BrokenPipeError: nobody can read it any more.

    """
    try:
        return os.write(pipe, data)
    except BlockingIOError:
        return 0


@asynccontextmanager
async def open_child(
    supervisor: Supervisor, program: ChildCommand, listener: ChildListener
) -> AsyncIterator[ChildProcess]:
    """Start a child process in a session of its own.

    On exit it is ended, with all that it has started.

    Raises:
        OSError: the process cannot be started.

    """
    async with open_process(supervisor, program) as process:
        pipes = ChildProcess(process, listener)
        try:
            await pipes.connect()
            yield pipes
        finally:
            await pipes.stop()
