"""Processes that the supervisor has started for the gateway.

See `supervisor/program.py` for what is said between them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TextIO, cast

import anyio

from mcp_gateway.plugin import ServerUnavailable

log = logging.getLogger(__name__)

EXIT_SECONDS = 2.0
"""How long a server may take to exit after its stdin was closed, and again after SIGTERM; then it is killed."""

HURRIED_SECONDS = 0.3
"""How long it may take after SIGTERM if its owner is cancelled: the gateway is ending, or gives the server up."""

_KILL_SECONDS = 1.0
"""How long the end of a killed process may take."""

# Its folder comes last on the path: no module in it hides one of the standard library.
_PROGRAM = "import sys; sys.path.append(sys.argv[1]); from supervisor.program import run; run(int(sys.argv[2]))"
_FOLDER = Path(__file__).parent
_LIBRARY_PATHS = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
"""Without these Python may not start. It gets no others: they could be read by other processes of the user."""


@dataclass(frozen=True, slots=True)
class ChildCommand:
    """A command with its environment, directory and stderr file."""

    command: Sequence[str]
    environment: Mapping[str, str]
    directory: Path | None
    errors: TextIO

    def encode(self) -> bytes:
        """Encode it as a line for the supervisor.

        The system's names are bytes: each becomes the character with its number.
        """
        message = {
            "command": [_to_characters(word) for word in self.command],
            "environment": {_to_characters(name): _to_characters(value) for name, value in self.environment.items()},
            "directory": None if self.directory is None else _to_characters(str(self.directory)),
        }
        return json.dumps(message).encode() + b"\n"


def _to_characters(text: str) -> str:
    return os.fsencode(text).decode("latin-1")


@dataclass(slots=True)
class Supervisor:
    """The supervisor of a gateway's servers, started when needed."""

    _process: subprocess.Popen[bytes] | None = None
    _control: socket.socket | None = None
    _users: int = 0

    @contextmanager
    def use(self) -> Iterator[None]:
        """Keep it; the last user lets it end."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._close()

    def hand_over(self, descriptors: Sequence[int]) -> None:
        """Pass a server's connection and standard streams.

        Raises:
            OSError: the supervisor cannot be started.

        """
        if self._control is not None:
            with suppress(OSError):  # it was killed: another one is started
                socket.send_fds(self._control, [b"+"], descriptors)
                return
            self._close()
        self._control = self._start()
        socket.send_fds(self._control, [b"+"], descriptors)

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  # a program of our own
                [sys.executable, "-I", "-S", "-c", _PROGRAM, str(_FOLDER), str(theirs.fileno())],
                env={name: os.environ[name] for name in _LIBRARY_PATHS if name in os.environ},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # Ctrl-C, and who kills the gateway's group, must not end it: it has to end the servers.
                start_new_session=True,
            )
        return ours

    def _close(self) -> None:
        control, self._control = self._control, None
        process, self._process = self._process, None
        if control is not None:
            control.close()
        if process is not None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_KILL_SECONDS)


@dataclass(slots=True, eq=False, weakref_slot=True)
class SupervisedProcess(asyncio.Protocol):
    """A process, as the supervisor tells of it."""

    stdin: IO[bytes]
    stdout: IO[bytes]
    owns_pipes: bool = True
    """False once transports of the event loop have them, which close them later."""
    pid: int = 0
    status: int | None = None
    """The exit status, or less than 0: a signal. None while it runs, or if it is not known."""
    exited: anyio.Event = field(default_factory=anyio.Event)
    gone: anyio.Event = field(default_factory=anyio.Event)
    """Set when nothing of it is left."""
    started: anyio.Event = field(default_factory=anyio.Event)
    error: Exception | None = None
    """Why it has not started."""
    on_exit: Callable[[], None] = lambda: None
    """Called when it has exited by itself, whatever it has left behind."""
    _transport: asyncio.Transport | None = None
    _received: bytes = b""

    # -- from the supervisor

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport of the connection."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read whole lines."""
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            self._on_message(json.loads(line))

    def connection_lost(self, _: Exception | None) -> None:
        """Handle the end: nothing will be heard of it any more."""
        if not self.started.is_set():
            self.error = self.error or ServerUnavailable("the process that starts servers has ended; try again")
        self._transport = None
        for event in (self.started, self.exited, self.gone):
            event.set()

    def _on_message(self, message: Mapping[str, Any]) -> None:
        match message:
            case {"pid": int(pid)}:
                self.pid = pid
                self.started.set()
            case {"errno": int(number), "in_directory": bool(in_directory)}:
                name = "its cwd" if in_directory else None
                self.error = OSError(number, os.strerror(number), name)
                self.started.set()
            case {"status": int(status)}:
                self.status = status
                self.exited.set()
                self.on_exit()
            case {"gone": True}:
                self.gone.set()

    # -- for the owner

    def start(self, program: ChildCommand) -> None:
        """Have the supervisor start it."""
        self._write(program.encode())

    async def end(self) -> None:
        """End it and all that it has started.

        It has `EXIT_SECONDS`, twice. Cancelled, it gets SIGTERM at once, and is killed after `HURRIED_SECONDS`.
        """
        self._ask_to_end(EXIT_SECONDS, EXIT_SECONDS)
        try:
            with anyio.move_on_after(2 * EXIT_SECONDS + _KILL_SECONDS):
                await self.gone.wait()
        finally:
            # Shielded, because on cancellation nothing else would wait for the end.
            with anyio.CancelScope(shield=True), anyio.move_on_after(HURRIED_SECONDS + _KILL_SECONDS) as waiting:
                self._ask_to_end(0, HURRIED_SECONDS)
                await self.gone.wait()
            if waiting.cancelled_caught:
                log.warning("process survived SIGKILL", extra={"pid": self.pid})

    def _ask_to_end(self, until_term: float, until_kill: float) -> None:
        if not self.gone.is_set():
            self._write(json.dumps({"end": [until_term, until_kill]}).encode() + b"\n")

    def _write(self, line: bytes) -> None:
        if self._transport is not None:
            self._transport.write(line)

    def close(self) -> None:
        """Close all that is open here."""
        if self._transport is not None:
            self._transport.close()
        if self.owns_pipes:
            self.stdin.close()
            self.stdout.close()


@asynccontextmanager
async def open_process(supervisor: Supervisor, program: ChildCommand) -> AsyncIterator[SupervisedProcess]:
    """Start a process; end it on exit.

    Raises:
        OSError: the process cannot be started.
        ServerUnavailable: the supervisor has ended meanwhile.

    """
    process, connection = _hand_over(supervisor, program)
    try:
        await asyncio.get_running_loop().create_unix_connection(lambda: process, sock=connection)
    except BaseException:
        connection.close()
        process.close()
        raise
    try:
        process.start(program)
        await process.started.wait()
        if process.error is not None:
            raise process.error
        yield process
    finally:
        try:
            if process.error is None:
                await process.end()
        finally:
            process.close()


def _hand_over(supervisor: Supervisor, program: ChildCommand) -> tuple[SupervisedProcess, socket.socket]:
    """Return a process that is still to be started."""
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    (child_in, stdin), (stdout, child_out) = os.pipe(), os.pipe()
    process = SupervisedProcess(os.fdopen(stdin, "wb", 0), os.fdopen(stdout, "rb", 0))
    try:
        supervisor.hand_over([theirs.fileno(), child_in, child_out, program.errors.fileno()])
    except BaseException:
        ours.close()
        process.close()
        raise
    finally:
        theirs.close()
        os.close(child_in)
        os.close(child_out)
    return process, ours


def describe_status(status: int) -> str:
    """Say how a process has ended."""
    if status >= 0:
        return f"its process ended with exit status {status}"
    with suppress(ValueError):
        name = signal.Signals(-status).name
        hint = ", as the system does when memory runs out" if -status == signal.SIGKILL else ""
        return f"its process was ended by the signal {name}{hint}"
    return f"its process was ended by the signal {-status}"
