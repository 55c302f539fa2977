"""Header-block cache: heads equal but for the Content-Length.

A head that comes again need not be parsed again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hmac import compare_digest

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*(?=\r\n)", re.IGNORECASE)
_END = b"\r\n\r\n"
# More digits are more than any message may have.
_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Head:
    """A parsed head, split around its Content-Length digits.

    `before` ends before the digits, `after` begins behind them.
    """

    before: bytes
    after: bytes

    def body_offset(self, data: bytes) -> int:
        """Return the offset of the body after this head, or 0.

        `data` must be this head, with any Content-Length, and exactly one whole body.
        """
        begin, length = self.match(data)
        return begin if len(data) == begin + length else 0

    def match(self, data: bytes) -> tuple[int, int]:
        """Return where the body begins, and its length; zeros for another head.

        `data` must begin with the whole head; the body may come later.
        """
        start = len(self.before)
        stop = data.find(b"\r", start, start + _DIGITS + 1)
        begin = stop + len(self.after)
        if stop <= start or len(data) < begin or not data[start:stop].isdigit():
            return 0, 0
        # Heads hold tokens: how long it takes must not tell how much of one was right.
        is_same = compare_digest(data[:start], self.before) & compare_digest(data[stop:begin], self.after)
        return (begin, int(data[start:stop])) if is_same else (0, 0)


def cacheable_head(data: bytes, body: bytes) -> Head | None:
    """Return the reusable head of a message.

    None unless `data` is that message alone, with one Content-Length and this `body`.
    """
    end = data.find(_END) + len(_END)
    lengths = list(_LENGTH.finditer(data, 0, end))
    if end < len(_END) or len(lengths) != 1:
        return None
    head = Head(data[: lengths[0].start(1)], data[lengths[0].end(1) : end])
    # Of two messages in one piece the parser may speak of the second: its headers are not those of this head.
    return head if head.body_offset(data) == end and data[end:] == body else None
