"""Standard error of a child: logged, with its last lines kept.

The last lines usually explain a failure and become part of its error.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

log = logging.getLogger(__name__)
output = logging.getLogger("mcp_gateway.server_output")
"""What the gateway keeps of it, for the command `logs`."""

_LINES = 5
_LINE_CHARACTERS = 400
_LINE_BYTES = 4096
"""How much of a line is buffered: more than is shown, so that a secret is not cut, and so missed by masking."""

_PIECE = 64 << 10
_PAUSE_SECONDS = 0.005
"""How long the reading thread pauses after a full piece, so that a flood does not take all of the CPU."""

# Bounded, because the pipe may stay open: children of the child can have inherited it.
_LAST_WORDS_SECONDS = 0.3


@dataclass(slots=True)
class ChildStderr:
    """The child's end of the pipe, and the last lines."""

    file: TextIO
    reader: threading.Thread
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_LINES))

    def last_lines(self) -> str:
        """Return the last lines, joined to one."""
        self.reader.join(_LAST_WORDS_SECONDS)
        return " | ".join(self.lines)


@contextmanager
def capture_stderr(name: str, secrets: tuple[str, ...] = (), server: str = "") -> Iterator[ChildStderr]:
    """Create a standard error pipe with a logging thread.

    The thread reads until every writer has closed the pipe. A child may print the credentials that it was given, so
    `secrets` are masked.
    """
    readable, writable = os.pipe()
    lines: deque[str] = deque(maxlen=_LINES)
    reader = threading.Thread(
        target=_log_lines, args=(readable, (name, server), lines, secrets), name=f"stderr of {name}", daemon=True
    )
    reader.start()
    with os.fdopen(writable, "w", encoding="utf-8") as file:
        yield ChildStderr(file, reader, lines)


def _log_lines(descriptor: int, names: tuple[str, str], lines: deque[str], secrets: tuple[str, ...]) -> None:
    rest = b""
    with os.fdopen(descriptor, "rb", 0) as stream:
        while piece := stream.read(_PIECE):
            *whole, rest = (rest + piece).replace(b"\r", b"\n").split(b"\n")
            # Bounded, because a line may never end.
            rest = rest[:_LINE_BYTES]
            # Without debug logging only the last lines are needed; processing a flood would cost CPU time.
            for line in whole if log.isEnabledFor(logging.DEBUG) else whole[-2 * _LINES :]:
                _keep(line, names, lines, secrets)
            if len(piece) == _PIECE:
                time.sleep(_PAUSE_SECONDS)
        _keep(rest, names, lines, secrets)


def _keep(line: bytes, names: tuple[str, str], lines: deque[str], secrets: tuple[str, ...]) -> None:
    text = mask_values(line[:_LINE_BYTES].decode("utf-8", "replace").strip(), secrets)[:_LINE_CHARACTERS]
    if text:
        lines.append(text)
        program, server = names
        output.debug("server stderr", extra={"server": server, "program": program, "line": text})


def mask_values(text: str, secrets: tuple[str, ...]) -> str:
    """Mask the secret values that the child was given.

    Here the exact values are known; the core's log masks only text that looks like a secret.
    """
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
