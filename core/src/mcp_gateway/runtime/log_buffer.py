"""The last log lines, for the command `logs`."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

MAX_LINES = 2000
"""How many lines are kept."""

MAX_CHARACTERS = 2000
"""What of a longer line is kept."""

SERVER_OUTPUT = "mcp_gateway.server_output"
"""The logger of what servers write to standard error; it is kept here, and printed at the level `debug` only."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the log, about `server` if there is one.

    `number` counts the lines, `text` is masked JSON.
    """

    number: int
    server: str
    text: str


@dataclass(frozen=True, slots=True)
class LogLines:
    """Lines that were read from a buffer.

    `missed` is how many lines, of all servers, were dropped before they could be read; `last` is the number of the last
    line that the buffer had.
    """

    lines: Sequence[LogLine]
    missed: int
    last: int


@dataclass(slots=True)
class LogBuffer:
    """Keeps the last lines; a logging handler fills it, in any thread."""

    _lines: deque[LogLine] = field(default_factory=lambda: deque(maxlen=MAX_LINES))
    _last: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, server: str, text: str) -> None:
        """Add a line."""
        with self._lock:
            self._last += 1
            self._lines.append(LogLine(self._last, server, text[:MAX_CHARACTERS]))

    def read(self, after: int | None = None, server: str | None = None) -> LogLines:
        """Return the lines after a number, of one server or of all.

        Without a number it is all that are kept, and none is missed.
        """
        with self._lock:
            kept, last = list(self._lines), self._last
        first = last - len(kept) + 1
        missed = 0 if after is None else max(0, first - after - 1)
        wanted = [line for line in kept if line.number > (after or 0) and server in (None, line.server)]
        return LogLines(wanted, missed, last)

    def servers(self) -> set[str]:
        """Return the servers that kept lines are about."""
        with self._lock:
            return {line.server for line in self._lines if line.server}


BUFFER = LogBuffer()
"""That of this process: logging is one thing of a process, too."""


class BufferHandler(logging.Handler):
    """Puts log records into a buffer."""

    def __init__(self, buffer: LogBuffer) -> None:
        """Fill `buffer`."""
        super().__init__()
        self._buffer = buffer

    def emit(self, record: logging.LogRecord) -> None:
        """Add a record."""
        fields = record.msg if isinstance(record.msg, dict) else vars(record)
        server = fields.get("server")
        self._buffer.add(server if isinstance(server, str) else "", self.format(record))
