"""Lines of a stream, each with its end."""

from __future__ import annotations

import math
from collections.abc import Iterator


class LineReader:
    """Cuts a stream into lines.

    Of a line that is too long, what has come is a piece without an end, and what follows, too.
    """

    def __init__(self, max_bytes: float = math.inf) -> None:
        """Keep at most `max_bytes` of an unfinished line."""
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._size = 0
        self._is_cut = False

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """Yield the lines that end in `data`, with whether each is whole."""
        begin = 0
        while (end := data.find(b"\n", begin) + 1) > 0:
            self._parts.append(data[begin:end])
            begin = end
            yield self._take(), not self._is_cut
            self._is_cut = False
        if begin < len(data):
            self._parts.append(data[begin:])
            self._size += len(data) - begin
        if self._size > self._max_bytes or self._is_cut:
            self._is_cut = True
            yield self._take(), False

    def flush(self) -> bytes:
        """Return the last line, if it has no end."""
        return self._take()

    def _take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts, self._size = [], 0
        return taken
