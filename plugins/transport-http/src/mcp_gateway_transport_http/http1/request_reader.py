"""Reader of buffered requests, one at a time, in linear time."""

from __future__ import annotations

import re
from http import HTTPStatus

from mcp_gateway_transport_http.http1.request_error import RequestError
from mcp_gateway_transport_http.http1.request_head import (
    MAX_URI_BYTES,
    RequestHead,
    check_request_line,
    parse_head,
    uri_too_long,
)

_EMPTY_LINES = re.compile(rb"(?:\r\n)+")
_LINE_END = b"\r\n"
_HEAD_END = b"\r\n\r\n"
# The method, the version, and two spaces.
_REST_OF_REQUEST_LINE = 64


class RequestReader:
    """The received bytes of a connection that are not parsed yet.

    A head is parsed only when it is complete, because httptools copies an incomplete header with every byte that
    arrives. `buffer` is public because bodies are taken from it.
    """

    __slots__ = ("_checked", "_max_head_bytes", "_searched", "buffer")

    def __init__(self, max_head_bytes: int) -> None:
        self._max_head_bytes = max_head_bytes
        self.buffer = bytearray()
        self._searched = 0
        self._checked = False

    def read_head(self) -> RequestHead | None:
        """Take the next head off the buffer, if it is complete.

        Raises:
            RequestError: the head is malformed or too long, raised as soon as that is certain.

        """
        buffer = self.buffer
        if not self._checked and (empty := _EMPTY_LINES.match(buffer)):
            # Old clients send empty lines after a body (RFC 9112, section 2.2).
            del buffer[: empty.end()]
            self._searched = 0
        # Only the part that was not searched yet: a head that arrives byte by byte must not take quadratic time.
        end = buffer.find(_HEAD_END, max(0, self._searched - len(_HEAD_END) + 1))
        if end < 0:
            self._check_beginning()
            self._searched = len(buffer)
            return None
        end += len(_HEAD_END)
        if end > self._max_head_bytes:
            raise self._too_long()
        raw = bytes(buffer[:end])
        del buffer[:end]
        self._searched, self._checked = 0, False
        return parse_head(raw)

    def _check_beginning(self) -> None:
        """Refuse bytes that cannot become a valid head."""
        buffer = self.buffer
        if not self._checked and buffer:
            self._check_request_line()
        if len(buffer) >= self._max_head_bytes:
            raise self._too_long()

    def _check_request_line(self) -> None:
        buffer = self.buffer
        if not (buffer[:1].isupper() or _LINE_END.startswith(buffer)):
            raise RequestError(HTTPStatus.BAD_REQUEST, "This is no HTTP request: it does not begin with a method")
        end = buffer.find(b"\n", max(0, self._searched - 1))
        if end >= 0:
            check_request_line(buffer[: max(0, end - 1)] if buffer[end - 1 : end] == b"\r" else buffer[: end + 1])
            self._checked = True
        elif len(buffer) > MAX_URI_BYTES + _REST_OF_REQUEST_LINE:
            raise uri_too_long()

    def _too_long(self) -> RequestError:
        return RequestError(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"The head of this request has more than {self._max_head_bytes} bytes (GATEWAY_MAX_HEADER_BYTES)",
        )
