"""A parser of server-sent events in bounded time and memory.

HTML standard, section 9.2.6.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass, field

from mcp_gateway_transport_http.client.responses.limits import MAX_MESSAGE_BYTES, too_long

# The standard leaves it to the client: "probably in the region of a few seconds".
_PAUSE_SECONDS = 1.0

_RETRY_DIGITS = 9
"""A pause of more milliseconds, eleven days, is none."""

_ID_BYTES = 1024
"""An id that is longer fits into no header, in which it would be sent back."""


_MESSAGE = (b"", b"message")
"""Events of any other name are no messages (MCP, Streamable HTTP; `message` is the default of the standard)."""


@dataclass(slots=True)
class SseParser:
    """SSE parser with the last event id and retry delay.

    The delay is in seconds: how long to wait before the stream is resumed.
    """

    limit: int = MAX_MESSAGE_BYTES
    last_event_id: str | None = None
    retry_delay: float = _PAUSE_SECONDS
    _rest: bytearray = field(default_factory=bytearray)
    _data: list[bytes] = field(default_factory=list)
    _name: bytes = b""
    _id: str | None = None
    _size: int = 0
    _is_begun: bool = False
    _after_return: bool = False

    def __post_init__(self) -> None:
        """Begin with the id of the stream that is resumed, if any."""
        self._id = self.last_event_id

    def parse(self, piece: bytes) -> Iterator[bytes]:
        """Feed a chunk; yield the data of complete events.

        Raises:
            LimitExceeded: a line, or the data of an event, is too long.

        """
        lines = self._split(piece)
        rest = lines.pop()
        for line in lines:
            if self._rest:
                self._rest += line
                line, self._rest = bytes(self._rest), bytearray()  # noqa: PLW2901  # it began in another chunk
            if not self._is_begun:
                self._is_begun = True
                line = line.removeprefix(BOM_UTF8)  # noqa: PLW2901  # one may begin a stream
            if line:
                self._parse_field(line)
            elif (event := self._dispatch()) is not None:
                yield event
        if rest:
            self._rest += rest
            self._check(len(self._rest))

    def _dispatch(self) -> bytes | None:
        """Return the data of the ended event, if it is a message."""
        self.last_event_id = self._id
        data, name = self._data, self._name
        self._data, self._name, self._size = [], b"", 0
        if not data or name not in _MESSAGE:
            return None
        # Several data lines are one text with line breaks (section 9.2.6).
        return b"\n".join(data) or None

    def _split(self, piece: bytes) -> list[bytes]:
        """Return complete lines, and the rest after the last one.

        A line break that was cut in two is one.
        """
        if not piece:
            return [b""]
        if self._after_return:
            piece = piece.removeprefix(b"\n")
        self._after_return = piece.endswith(b"\r")
        # Of bytes, these are exactly the line breaks of the standard: CR, LF, and CRLF.
        lines = piece.splitlines()
        if not lines or piece.endswith((b"\r", b"\n")):
            lines.append(b"")
        return lines

    def _check(self, more: int) -> None:
        if self._size + more > self.limit:
            raise too_long("an event of its answer", self.limit)

    def _parse_field(self, line: bytes) -> None:
        size = len(line)
        if self._size + size > self.limit:
            self._check(size)
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match name:
            case b"data":
                self._data.append(value)
                self._size += size
            case b"event":
                self._name = value
            # An id with NUL is ignored, and an empty one resets it (section 9.2.6).
            case b"id" if b"\0" not in value and len(value) <= _ID_BYTES:
                self._id = value.decode("latin-1") or None
            case b"retry" if value.isdigit() and len(value) <= _RETRY_DIGITS:
                self.retry_delay = int(value) / 1000
