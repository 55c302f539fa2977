"""A server: the start of its process, and its end."""

from __future__ import annotations

import ctypes
import json
import math
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Any

from .processes import TAG

SET_PDEATHSIG, SET_DUMPABLE, SET_CHILD_SUBREAPER = 1, 4, 36
"""Of prctl(2)."""


class Server:
    """A server, with the state of its process."""

    def __init__(self, connection: socket.socket | None, streams: list[int]) -> None:
        """Wait for what to start on `connection`."""
        self.connection, self.streams = connection, streams
        self.received = b""
        self.pid, self.tag = 0, os.urandom(12).hex()
        self.has_exited = False
        self.is_told = False
        self.term_at, self.kill_at, self.kill_wait = math.inf, math.inf, 0.0

    @property
    def is_ending(self) -> bool:
        """Whether it is to end."""
        return self.term_at < math.inf

    def send(self, **message: object) -> None:
        """Tell the gateway, if it is there."""
        if self.connection is not None:
            with suppress(OSError):
                self.connection.send(json.dumps(message).encode() + b"\n")

    def end(self, until_term: float, until_kill: float) -> None:
        """Let it end: SIGTERM after so many seconds, then SIGKILL."""
        now = time.monotonic()
        if self.is_told:
            self.kill_at = min(self.kill_at, now + until_kill)
        self.term_at, self.kill_wait = min(self.term_at, now + until_term), until_kill

    def is_due(self, now: float) -> bool:
        """Whether it is time to look at what is left of it."""
        return self.is_ending and (self.has_exited or not self.pid or now >= self.term_at)

    def advance(self, members: set[int], now: float) -> bool:
        """Send the signals that are due; return whether nothing is left.

        A negative member is a process group.
        """
        if not members and (self.has_exited or not self.pid):
            return True
        if now >= self.kill_at:
            _signal_all(members, signal.SIGKILL)
        elif not self.is_told and (self.has_exited or now >= self.term_at):
            self.is_told, self.kill_at = True, now + self.kill_wait
            _signal_all(members, signal.SIGTERM)
        return False


def _signal_all(members: set[int], number: int) -> None:
    for member in members:
        with suppress(OSError):
            os.kill(member, number)


def start_process(message: dict[str, Any], server: Server) -> int:
    """Start a server in its own session; return its process id.

    Raises:
        OSError: it cannot be started; its `filename` is `directory` if that is the reason.

    """
    readable, writable = os.pipe()
    parent = os.getpid()
    # This program has one thread only, which makes it safe to work between fork and exec; and the signal at a parent's
    # death is that of the thread which forked, so it must be one that lives as long as the process.
    pid = os.fork()
    if pid == 0:
        stage = b"directory"
        try:
            os.setsid()
            call_prctl(SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died before
                os._exit(127)
            for number, descriptor in enumerate(server.streams):
                os.dup2(descriptor, number)
            for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
                signal.signal(number, signal.SIG_DFL)
            if message["directory"] is not None:
                os.chdir(_decode(message["directory"]))
            stage = b"command"
            environment = {_decode(name): _decode(value) for name, value in message["environment"].items()}
            command = [_decode(word) for word in message["command"]]
            os.execve(command[0], command, {**environment, TAG.encode(): server.tag.encode()})  # noqa: S606
        except OSError as error:
            os.write(writable, b"%d %s" % (error.errno or 0, stage))
        except ValueError:  # a NUL in it
            os.write(writable, b"%d %s" % (22, stage))
        finally:
            os._exit(127)
    os.close(writable)
    with open(readable, "rb") as file:  # noqa: PTH123  # pathlib is slow to import
        failure, _, where = file.read().partition(b" ")
    if failure:
        os.waitpid(pid, 0)
        raise OSError(int(failure), os.strerror(int(failure)), where.decode())
    return pid


def _decode(text: str) -> bytes:
    """Return the bytes that came as characters of the same numbers."""
    return text.encode("latin-1")


def call_prctl(option: int, value: int) -> None:
    """Call prctl(2) on Linux; elsewhere do nothing."""
    if _libc is not None:
        _libc.prctl(option, value, 0, 0, 0)


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
