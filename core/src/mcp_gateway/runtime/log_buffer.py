"""The last log lines, for the command `logs`."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

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


@dataclass(slots=True)
class LogBuffer:
    """Keeps the last lines; a logging handler fills it."""

    _lines: deque[LogLine] = field(default_factory=lambda: deque(maxlen=MAX_LINES))
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def add(self, server: str, text: str) -> None:
        """Add a line; it may be called in any thread."""
        self._lines.append(LogLine(next(self._numbers), server, text[:MAX_CHARACTERS]))

    def lines(self, after: int = 0, server: str | None = None) -> Iterator[LogLine]:
        """Yield the lines after a number, of one server or of all."""
        for line in list(self._lines):
            if line.number > after and server in (None, line.server):
                yield line


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
