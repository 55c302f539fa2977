"""Line framing of pipe data.

Only head and tail of an oversized line are kept.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import cast

log = logging.getLogger(__name__)

INVALID_REQUEST, INTERNAL_ERROR = -32600, -32603

LineFn = Callable[[bytes], None]

_END = 512
"""How many bytes of head and tail are kept: enough for a message's id, which programs write first or last."""

_ID = rb'"id"\s*:\s*(?P<id>-?\d{1,15}(?:\.0{1,15})?|"[\w.:/=+-]{1,200}")'
# Only members in the usual order: looking further would need a parser for half of a message.
_BEGINNING = re.compile(rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?(?:' + _ID + rb'\s*,\s*)?(?P<method>"method")?')
_ENDING = re.compile(rb",\s*" + _ID + rb'\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*\Z')


@dataclass(frozen=True, slots=True)
class OversizedLine:
    """An oversized line: head, tail and size in bytes."""

    head: bytes
    tail: bytes
    size: int

    @classmethod
    def of(cls, line: bytes) -> OversizedLine:
        """Return the ends of a line."""
        return cls(line[:_END], line[-_END:], len(line))

    @property
    def id(self) -> bytes | None:
        """The message id as JSON, found in head or tail.

        None if there is no id at either end.
        """
        found = _BEGINNING.match(self.head)
        if found is not None and found["id"] is not None:
            return found["id"]
        found = _ENDING.search(self.tail)
        return None if found is None else found["id"]

    @property
    def is_request(self) -> bool:
        """Whether it was a request or a notification, and no response."""
        found = _BEGINNING.match(self.head)
        return found is not None and found["method"] is not None


ENDLESS = 8
"""A line of so many times the limit is treated as endless."""


@dataclass(slots=True)
class LineSplitter:
    """Line splitter with a size limit.

    `on_line` is called for each line, without white space around it, `on_long` instead for those of more than `limit`
    bytes.

    `on_excess` is called before the end of such a line: when it exceeds the limit, and when it seems to be endless.
    """

    on_line: LineFn
    on_long: Callable[[OversizedLine], None]
    limit: int
    on_excess: Callable[[OversizedLine], None] = lambda _: None
    _held: bytearray = field(default_factory=bytearray)
    _tail: bytes = b""
    _size: int = 0

    def feed(self, data: bytes) -> None:
        """Split the next piece."""
        for _ in self.steps(data):
            pass

    def steps(self, data: bytes) -> Iterator[None]:
        """Split the next piece, pausing after each line.

        The pauses let the caller yield to other tasks.
        """
        # `split` looks at byte after byte, which takes ten times as long where lines are long.
        for part in BytesIO(data):
            if not part.endswith(b"\n"):
                self._append(part)
                return
            if self._size or len(part) > self.limit + 1:
                self._append(part[:-1])
                self.flush()
            else:
                self.on_line(part.strip())
            yield

    def flush(self) -> None:
        """Flush the last line, if it is not empty.

        It is the rest of the data after the last line break.
        """
        held, tail, size = self._held, self._tail, self._size
        self._held, self._tail, self._size = bytearray(), b"", 0
        if size > self.limit:
            self.on_long(OversizedLine(bytes(held), tail, size))
        elif size:
            self.on_line(bytes(held.strip()))

    def _append(self, part: bytes) -> None:
        """Append to the current line; truncate it beyond the limit.

        Only head and tail of a truncated line are kept.
        """
        before, self._size = self._size, self._size + len(part)
        if self._size <= self.limit:
            self._held += part
            return
        if before <= self.limit:
            whole = bytes(self._held + part)
            self._held, self._tail = bytearray(whole[:_END]), whole[-_END:]
        else:
            self._tail = (self._tail + part[-_END:])[-_END:]
        if any(before <= times * self.limit < self._size for times in (1, ENDLESS)):
            self.on_excess(OversizedLine(bytes(self._held), b"", self._size))


def to_utf8(line: bytes) -> bytes:
    """Replace bytes that are no UTF-8 by U+FFFD.

    Other lines come back as the same object.
    """
    if not line.isascii():
        try:
            line.decode()
        except UnicodeDecodeError:
            return line.decode("utf-8", "replace").encode()
    return line


def find_id(line: bytes) -> str | int | None:
    """Return a message's id from head or tail of a line.

    For lines that cannot be parsed as a whole; None if there is no id at either end.
    """
    found = OversizedLine.of(line).id
    return None if found is None else cast("str | int", json.loads(found))


def encode_error(request_id: bytes, code: int, message: str) -> bytes:
    """Encode a JSON-RPC error; `request_id` is JSON."""
    error = json.dumps({"code": code, "message": message}).encode()
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (request_id, error)


def encode_oversize_error(line: OversizedLine, longest: int) -> bytes:
    """Encode the error response to an oversized client message.

    Its id is null if the message has none at its ends.
    """
    message = f"the message has {line.size} bytes, more than the {longest} of GATEWAY_MAX_REQUEST_BYTES"
    log.warning("client message too large", extra={"reason": message})
    return encode_error(line.id if line.is_request and line.id is not None else b"null", INVALID_REQUEST, message)
