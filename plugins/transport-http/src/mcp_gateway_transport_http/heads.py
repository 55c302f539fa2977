"""Heads of messages: one that comes again, but for the length of the body, need not be parsed again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hmac import compare_digest

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*(?=\r\n)", re.IGNORECASE)
_END = b"\r\n\r\n"
_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Head:
    """A head that the parser has read: what stands before the digits of its body's length, and after them."""

    before: bytes
    after: bytes

    def body(self, data: bytes) -> int:
        """Return where the body begins in data that is this head again and the whole of one body, else 0."""
        start = len(self.before)
        stop = data.find(b"\r", start, start + _DIGITS + 1)
        begin = stop + len(self.after)
        if stop <= start or not data[start:stop].isdigit() or len(data) != begin + int(data[start:stop]):
            return 0
        # Heads hold tokens: how long it takes must not tell how much of one was right.
        is_same = compare_digest(data[:start], self.before) & compare_digest(data[stop:begin], self.after)
        return begin if is_same else 0


def head_of(data: bytes, body: bytes) -> Head | None:
    """Return the head of a message that is all of `data`, if it says once how long its `body` is."""
    end = data.find(_END) + len(_END)
    lengths = list(_LENGTH.finditer(data, 0, end))
    if end < len(_END) or len(lengths) != 1:
        return None
    head = Head(data[: lengths[0].start(1)], data[lengths[0].end(1) : end])
    # Of two messages in one piece the parser may speak of the second: its headers are not those of this head.
    return head if head.body(data) == end and data[end:] == body else None
