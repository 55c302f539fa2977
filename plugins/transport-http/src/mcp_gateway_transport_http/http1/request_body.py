"""The body of an HTTP/1 request, taken piece by piece."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

from mcp_gateway_transport_http.http1.request_error import RequestError
from mcp_gateway_transport_http.http1.request_head import RequestHead

MAX_CHUNK_LINE_BYTES = 256
"""The longest line with a chunk's size and extensions; extensions are ignored."""
MAX_EXTENSION_BYTES = 16 << 10
"""How many bytes the chunk extensions of a body may have in all."""
MAX_TRAILER_BYTES = 8 << 10
"""How many bytes of trailers may follow the last chunk; they are dropped (RFC 9110, section 6.5)."""
MAX_CHUNKS_AT_ONCE = 2000
"""How many chunks are parsed before other connections are served."""

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})((?:[ \t]*;[^\x00-\x08\x0a-\x1f\x7f]*)?)")
_FORBIDDEN_IN_LINE = re.compile(rb"[\x00\r\n]")
_LINE_END = b"\r\n"


class RequestBody(Protocol):
    """A body that is parsed piece by piece until `is_complete`."""

    @property
    def is_complete(self) -> bool:
        """Whether all of it was taken."""
        ...

    def take(self, buffer: bytearray) -> bytes:
        """Take what there is of it off the buffer.

        Raises:
            RequestError: it is malformed.

        """
        ...


def body_of(head: RequestHead) -> RequestBody:
    """Return the body that follows a head."""
    return ChunkedBody() if head.length is None else SizedBody(head.length)


class SizedBody:
    """A body with a Content-Length."""

    __slots__ = ("_left",)

    def __init__(self, length: int) -> None:
        self._left = length

    @property
    def is_complete(self) -> bool:
        """Whether all of it was taken."""
        return not self._left

    def take(self, buffer: bytearray) -> bytes:
        """Take what there is of it off the buffer."""
        piece = bytes(buffer[: self._left]) if len(buffer) > self._left else bytes(buffer)
        del buffer[: len(piece)]
        self._left -= len(piece)
        return piece


class ChunkedBody:
    """A body in chunks (RFC 9112, section 7.1)."""

    __slots__ = ("_at", "_extensions", "_left", "_read_next", "_trailers", "is_complete")

    def __init__(self) -> None:
        self._left = self._extensions = self._trailers = self._at = 0
        # Unbound: a bound method would be a reference cycle, which needs the garbage collector.
        self._read_next: Callable[[ChunkedBody, bytearray, bytearray], bool] = ChunkedBody._read_size
        self.is_complete = False

    def take(self, buffer: bytearray) -> bytes:
        """Take chunks off the buffer, few at a time.

        Other connections are served between them.

        Raises:
            RequestError: the body is malformed, or has too many extensions or trailers.

        """
        data, self._at = bytearray(), 0
        for _ in range(3 * MAX_CHUNKS_AT_ONCE):
            if self.is_complete or not self._read_next(self, buffer, data):
                break
        del buffer[: self._at]
        return bytes(data)

    def _read_size(self, buffer: bytearray, _data: bytearray) -> bool:
        line = self._next_line(buffer, MAX_CHUNK_LINE_BYTES)
        if line is None:
            return False
        match = _SIZE.fullmatch(line)
        if match is None:
            raise _error_of("a chunk does not begin with its size")
        # The pattern allows at most eight digits, so nothing can overflow (RFC 9112, section 7.1).
        self._left = int(match[1], 16)
        self._extensions += len(match[2])
        if self._extensions > MAX_EXTENSION_BYTES:
            raise _error_of(f"chunks have more than {MAX_EXTENSION_BYTES} bytes of extensions")
        self._read_next = ChunkedBody._read_data if self._left else ChunkedBody._read_trailer
        return True

    def _read_data(self, buffer: bytearray, data: bytearray) -> bool:
        piece = buffer[self._at : self._at + self._left]
        data += piece
        self._at += len(piece)
        self._left -= len(piece)
        if self._left:
            return False
        self._read_next = ChunkedBody._read_end
        return True

    def _read_end(self, buffer: bytearray, _data: bytearray) -> bool:
        end = buffer[self._at : self._at + 2]
        if not _LINE_END.startswith(end):
            raise _error_of("a chunk is longer than it says")
        if len(end) < len(_LINE_END):
            return False
        self._at += 2
        self._read_next = ChunkedBody._read_size
        return True

    def _read_trailer(self, buffer: bytearray, _data: bytearray) -> bool:
        line = self._next_line(buffer, MAX_TRAILER_BYTES - self._trailers)
        if line is None:
            return False
        self._trailers += len(line) + 2
        self.is_complete = not line
        return True

    def _next_line(self, buffer: bytearray, max_bytes: int) -> bytes | None:
        """Return the next line without its end, None if incomplete."""
        end = buffer.find(_LINE_END, self._at, self._at + max(max_bytes, 0) + 2)
        if end < 0:
            if len(buffer) - self._at > max_bytes + 1:
                raise _error_of("a line between the chunks, or behind them, is too long")
            return None
        line = bytes(buffer[self._at : end])
        # Some proxies treat a bare CR or LF as a line end, which allows request smuggling.
        if _FORBIDDEN_IN_LINE.search(line):
            raise _error_of("a line between the chunks, or behind them, ends with less than CR LF")
        self._at = end + 2
        return line


def _error_of(detail: str) -> RequestError:
    return RequestError(HTTPStatus.BAD_REQUEST, f"The body of this request is no valid HTTP: {detail}")
