"""Responses of HTTP/1.1, by llhttp."""

from __future__ import annotations

from http import HTTPStatus

import httptools

from mcp_gateway_transport_http.client.carriers.carrier import ResponseHead, read_head
from mcp_gateway_transport_http.client.responses.limits import MAX_HEAD_BYTES, MAX_HEADERS, LimitExceeded
from mcp_gateway_transport_http.http1.header_cache import Head, cacheable_head

Fields = list[tuple[bytes, bytes]]

_OK = HTTPStatus.OK
"""The lowest status of a final response; to read a member of an enum takes a call (Python 3.11)."""
_SWITCHED = "it switched to another protocol, which nobody asked for"

# What RFC 9112 lets clients accept: line feeds alone (2.2), folded fields (5.2), chunks that count more than a length
# beside them (6.3), blanks behind the length of a chunk (7.1.1).
_LENIENCIES = {
    "lenient_optional_cr_before_lf": True,
    "lenient_headers": True,
    "lenient_chunked_length": True,
    "lenient_spaces_after_chunk_size": True,
}


class KnownFields:
    """The fields of the last response on a connection, parsed.

    The next one often has the same.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._fields: Fields = []
        self._head: ResponseHead | None = None

    def read_head(self, status: int, fields: Fields) -> ResponseHead:
        """Return what fields say."""
        if self._head is None or self._head.status != status or self._fields != fields:
            self._head, self._fields = read_head(status, fields), fields
        return self._head


class ResponseParser:
    """The parser of a connection's responses, one after the other.

    What it has found of one are its attributes: `pieces` are those of the body that nobody has taken yet, `broken` is
    why it cannot go on.
    """

    def __init__(self) -> None:
        """Begin before the first response."""
        self._known_fields = KnownFields()
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(**_LENIENCIES)
        self.begin()

    def begin(self) -> None:
        """Begin before another response."""
        self.head: ResponseHead | None = None
        self.pieces: list[bytes] = []
        self.is_complete = False
        self.keeps_alive = False
        self.has_more = False
        self.broken: str | LimitExceeded | None = None
        self._fields: Fields = []
        self._bodiless = self._field_count = 0

    def close(self) -> None:
        """Let go of llhttp.

        The two hold one another, which only the garbage collector would find out.
        """
        self._parser = None

    def feed(self, data: bytes) -> None:
        """Parse data, with a bound on all that is no body.

        llhttp's binding keeps what it has of a field, and copies it for each piece of data that comes.
        """
        try:
            self._feed(data)
        except LimitExceeded as error:
            self.broken = error
        except httptools.HttpParserUpgrade:
            self.broken = _SWITCHED
        except httptools.HttpParserError as error:
            # httptools wraps what its callbacks raise.
            excess = error.__context__
            self.broken = excess if isinstance(excess, LimitExceeded) else self._explain(error)

    def _feed(self, data: bytes) -> None:
        if self._parser is not None and self._bodiless + len(data) < MAX_HEAD_BYTES:
            self._bodiless += len(data)
            self._parser.feed_data(data)
            return
        rest = memoryview(data)
        while rest and self._parser is not None:
            room = MAX_HEAD_BYTES - self._bodiless
            piece, rest = rest[:room], rest[room:]
            self._bodiless += len(piece)
            self._parser.feed_data(piece)
            if self._bodiless >= MAX_HEAD_BYTES:
                raise LimitExceeded(f"the head of its answer has more than {MAX_HEAD_BYTES} bytes")

    def find_cacheable(self, data: bytes) -> Head | None:
        """Return the header block of this data, if it is cacheable.

        The data must have been one whole response.
        """
        head = self.head
        if head is None or not (self.is_complete and self.keeps_alive and head.length and len(self.pieces) == 1):
            return None
        if head.status != HTTPStatus.OK or head.cookies or head.codings:
            return None
        return cacheable_head(data, self.pieces[0])

    # -- what llhttp tells

    def on_message_begin(self) -> None:
        """Note a second message.

        It must not be taken for the response to the next request.
        """
        self.has_more = self.is_complete

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the fields of the head; trailers are only counted."""
        self._field_count += 1
        if self._field_count > MAX_HEADERS:
            raise LimitExceeded(f"the head of its answer has more than {MAX_HEADERS} fields")
        if self.head is None:
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Read the head of the final response.

        Fields of an interim response (1xx, RFC 9110 section 15.2) do not belong to it.
        """
        fields, self._fields = self._fields, []
        status = self._status()
        if status >= _OK and not self.is_complete:
            self.head = self._known_fields.read_head(status, fields)

    def on_body(self, body: bytes) -> None:
        """Collect a piece of the body."""
        if not self.is_complete:
            self._bodiless = 0
            self.pieces.append(body)

    def on_message_complete(self) -> None:
        """Take note that the response is complete."""
        if self.head is not None and self._parser is not None and not self.is_complete:
            self.is_complete = True
            self.keeps_alive = self._parser.should_keep_alive() and not self.head.is_ambiguous

    def _explain(self, error: Exception) -> str:
        is_switch = self._status() == HTTPStatus.SWITCHING_PROTOCOLS
        return _SWITCHED if is_switch else f"it does not speak HTTP: {error}"

    def _status(self) -> int:
        return 0 if self._parser is None else self._parser.get_status_code()
