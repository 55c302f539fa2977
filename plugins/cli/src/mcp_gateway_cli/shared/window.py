"""A window: it carries lines between its client and a shared gateway.

A thread for each direction, so that whoever does not read stops only who writes to him.
"""

from __future__ import annotations

import math
import signal
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread

from mcp_gateway_cli.shared.conversation import Conversation
from mcp_gateway_cli.shared.errors import WindowError
from mcp_gateway_cli.shared.lines import LineReader
from mcp_gateway_cli.shared.streams import CHUNK, STDIN, STDOUT, read_some, write_all

_MAX_LINE = 64 << 20
"""How many bytes of a client's line are kept to look at it; longer ones are only passed on."""

_RENEW_SECONDS = 30.0
_SIGNAL_SECONDS = 2.5
_CLOSE_SECONDS = 2.0
"""What a gateway needs after the time of calls under way."""

_ENDED = (
    "the shared gateway has ended while this request was under way; it may have been executed, so it was not sent "
    "again; the next message starts another gateway"
)

ConnectFn = Callable[[], socket.socket]


@dataclass(slots=True, eq=False)
class _Link:
    """A connection to a gateway."""

    connection: socket.socket
    is_lost: bool = False
    # Set when the handshake was answered, and at the end.
    changed: Event = field(default_factory=Event)
    is_over: bool = False
    heard_at: float = 0.0

    def send(self, data: bytes) -> None:
        """Send, unless the connection is lost, which its reader notices."""
        with suppress(OSError):
            self.connection.sendall(data)

    def close_input(self) -> None:
        """Say that nothing more follows."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)

    def abandon(self) -> None:
        """End the connection in both directions."""
        self.is_lost = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


@dataclass(slots=True)
class Window:
    """A window over standard input and output.

    `connect` finds or starts a gateway, `grace` is the time that calls under way have at the end.
    """

    connect: ConnectFn
    grace: float
    reading: int = STDIN
    writing: int = STDOUT
    _conversation: Conversation = field(default_factory=Conversation)
    _state: Lock = field(default_factory=Lock)
    _output: Lock = field(default_factory=Lock)
    _link: _Link | None = None
    _events: SimpleQueue[WindowError | str] = field(default_factory=SimpleQueue)

    def run(self) -> int:
        """Serve until the client leaves or a signal comes.

        Raises:
            WindowError: there is no gateway at the beginning.

        """
        for number in _find_signals():
            signal.signal(number, lambda *_: self._events.put("signal"))
        self._start_thread("client", self._carry_up)
        while (event := self._events.get()) == "gateway":
            pass
        if isinstance(event, WindowError):
            raise event
        if event != "output":
            self._close(_SIGNAL_SECONDS if event == "signal" else math.inf)
        return 0

    def _close(self, seconds: float) -> None:
        """Let the gateway answer what is under way, while it does so.

        It ends the connection itself; one that hangs is not waited for, nor any longer than `seconds`.
        """
        link = self._link
        if link is None or link.is_lost:
            return
        link.close_input()
        link.heard_at = time.monotonic()
        end = link.heard_at + seconds
        while not link.is_over:
            left = min(end, link.heard_at + self.grace + _CLOSE_SECONDS) - time.monotonic()
            if left <= 0:
                return
            with suppress(Empty):
                match self._events.get(timeout=left):
                    case "signal":
                        end = min(end, time.monotonic() + _SIGNAL_SECONDS)
                    case "output":
                        return

    def _start_thread(self, name: str, carry: Callable[[], None]) -> None:
        """Start a thread whose failure ends the window."""

        def run() -> None:
            try:
                carry()
            except BaseException as error:
                self._events.put(WindowError(f"the window has failed: {error!r}"))
                raise

        Thread(target=run, name=name, daemon=True).start()

    # -- from the client

    def _carry_up(self) -> None:
        try:
            self._open_link()
        except WindowError as error:
            self._events.put(error)
            return
        lines = LineReader(_MAX_LINE)
        while data := read_some(self.reading):
            self._pass_up(lines.feed(data))
        if rest := lines.flush():
            self._pass_up([(rest + b"\n", True)])
        self._events.put("input")

    def _pass_up(self, lines: Iterable[tuple[bytes, bool]]) -> None:
        with self._state:
            passed = b"".join(
                line for line, is_whole in lines if not is_whole or self._conversation.on_client_line(line)
            )
            link = None if self._link is None or self._link.is_lost else self._link
        if not passed:
            return
        try:
            link = link or self._open_next_link()
        except WindowError as error:
            self._tell_end(str(error))
        else:
            link.send(passed)

    def _open_link(self) -> _Link:
        try:
            link = _Link(self.connect())
        except OSError as error:  # no more processes, a full disk
            raise WindowError(f"the shared gateway cannot be started: {error}") from None
        self._link = link
        self._start_thread("gateway", lambda: self._carry_down(link))
        return link

    def _open_next_link(self) -> _Link:
        """Connect to the next gateway, and restore the conversation there."""
        link = self._open_link()
        with self._state:
            handshake = self._conversation.renew_handshake() if self._conversation.is_open else b""
        if not handshake:
            return link
        link.send(handshake)
        if not link.changed.wait(_RENEW_SECONDS) or link.is_lost:
            link.abandon()
            raise WindowError("the next shared gateway did not answer the handshake")
        with self._state:
            state, changes = self._conversation.renew_state(), self._conversation.list_changes()
        link.send(state)
        self._write(changes)
        return link

    # -- from the gateway

    def _carry_down(self, link: _Link) -> None:
        lines = LineReader()
        while data := _receive(link.connection):
            link.heard_at = time.monotonic()
            with self._state:
                heard = [(line, self._conversation.on_gateway_line(line)) for line, _ in lines.feed(data)]
            if not all(is_passed for _, is_passed in heard):
                link.changed.set()
            self._write(b"".join(line for line, is_passed in heard if is_passed))
        self._tell_end(_ENDED, link)
        link.connection.close()
        link.is_over = True
        self._events.put("gateway")

    def _tell_end(self, reason: str, link: _Link | None = None) -> None:
        with self._state:
            if link is not None:
                link.is_lost = True
                link.changed.set()
            messages = self._conversation.end(reason)
        self._write(messages)

    def _write(self, data: bytes) -> None:
        if not data:
            return
        try:
            with self._output:
                write_all(self.writing, data)
        except OSError:  # the client has left
            self._events.put("output")


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(CHUNK)
    except OSError:
        return b""


def _find_signals() -> set[signal.Signals]:
    """Return the signals that end a window.

    SIGHUP is not one if `nohup` has it ignored.
    """
    is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return {signal.SIGINT, signal.SIGTERM} | (set() if is_ignored else {signal.SIGHUP})


def read_grace(environ: Mapping[str, str]) -> float:
    """Return the time of calls under way, as the gateway reads it."""
    try:
        return min(max(float(environ.get("GATEWAY_SHUTDOWN_GRACE") or 1.5), 0.0), 3600.0)
    except ValueError:  # the gateway says it
        return 1.5
