"""A thin HTTP/1.1 connection to a server.

Bytes go out, a parsed response comes in.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast

import httptools

from mcp_gateway_transport_http.client.carriers.carrier import ConnectionLost, ResponseHead, ResponseReceiver, read_head
from mcp_gateway_transport_http.client.responses.limits import MAX_HEAD_BYTES, MAX_HEADERS, LimitExceeded
from mcp_gateway_transport_http.http1.header_cache import Head, cacheable_head
from mcp_gateway_transport_http.http1.write_batch import WriteBatch

_CLOSED = "it closed the connection without an answer"
_IN_THE_MIDDLE = "the connection broke in the middle of its answer"
_SWITCHED = "it switched to another protocol, which nobody asked for"


@dataclass(frozen=True, slots=True)
class _CachedHead:
    """A cached response header block, and what its fields say.

    They were read from exactly these bytes.
    """

    block: Head
    head: ResponseHead


class Connection(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self, outbox: WriteBatch, on_idle: Callable[[Connection], None]) -> None:
        """Begin unconnected, with the outbox by which it sends.

        `on_idle` hears when it is released.
        """
        self._outbox, self._on_idle = outbox, on_idle
        self.used = 0.0
        self.is_complete = True
        self._written = self._awaited = False
        self._transport: asyncio.Transport | None = None
        self._receiver: ResponseReceiver | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._cached_head: _CachedHead | None = None
        self._last_head: ResponseHead | None = None
        self._last_fields: list[tuple[bytes, bytes]] = []
        self._first = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self._head: ResponseHead | None = None
        self._is_told = False
        self._broken: str | LimitExceeded | None = None
        self._bodiless = self._field_count = 0
        self._poll: select.poll | None = None

    @property
    def is_open(self) -> bool:
        """Whether another request can be sent."""
        return self.is_complete and not self.is_closing()

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing to be read.

        What an unused connection has to say is that it ends.
        """
        return self._poll is None or not self._poll.poll(0)

    def send(self, message: bytes, receiver: ResponseReceiver) -> None:
        """Send a request; `receiver` hears what comes of it."""
        self._receiver, self._parser, self._head = receiver, None, None
        self.is_complete = self._written = self._is_told = False
        self._awaited = True
        self._outbox.requests_in_flight += 1
        if self._transport is None:
            asyncio.get_running_loop().call_soon(self._fail, "it closed the connection")
        else:
            self._outbox.write(self, message)

    def write(self, data: bytes) -> None:
        """Write a request; the outbox calls this when it is its turn."""
        if self._transport is not None:
            self._written = True
            self._transport.write(data)

    def is_closing(self) -> bool:
        """Whether nothing can be written any more."""
        return self._transport is None or self._transport.is_closing()

    def close(self) -> None:
        """Close, whatever is under way; nobody hears of it."""
        self._receiver = None
        self._settle()
        if self._transport is not None:
            self._transport.abort()

    def release(self) -> None:
        """Offer the connection for another request."""
        self._receiver = None
        self._on_idle(self)

    def set_reading_paused(self, *, paused: bool) -> None:
        """Stop reading from the server, or go on."""
        if self._transport is not None and not self._transport.is_closing():
            with suppress(RuntimeError):  # it has just closed, or is not read already
                (self._transport.pause_reading if paused else self._transport.resume_reading)()

    # -- what the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of the transport."""
        self._transport = cast("asyncio.Transport", transport)
        opened = transport.get_extra_info("socket")
        if opened is not None and hasattr(select, "poll"):
            # The event loop hears of the end of an idle connection a moment too late.
            self._poll = select.poll()
            self._poll.register(opened.fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Handle received bytes: match the cached head, else parse.

        After a match only the body is read.
        """
        if self.is_complete:
            # What follows a response must not be taken for the response to the next request.
            self._abort()
            return
        self._settle()
        known = self._cached_head if self._parser is None else None
        if known is not None and (start := known.block.body_offset(data)):
            self._head, self.is_complete = known.head, True
            self._pieces.append(data[start:])
        else:
            self._parse(data)
        self._tell()
        if (broken := self._broken) is not None:
            self._broken = None
            self._fail(broken)
            self._abort()

    def _parse(self, data: bytes) -> None:
        parser = self._parser or self._start_response(data)
        try:
            self._feed(parser, data)
        except LimitExceeded as error:
            self._break_off(error)
        except httptools.HttpParserError as error:
            # httptools wraps what its callbacks raise.
            excess = error.__context__
            self._break_off(excess if isinstance(excess, LimitExceeded) else self._explain_parser_error(error))
        except httptools.HttpParserUpgrade:
            self._break_off(_SWITCHED)
        self._first = b""

    def _explain_parser_error(self, error: Exception) -> str:
        switched = self._parser is not None and self._parser.get_status_code() == HTTPStatus.SWITCHING_PROTOCOLS
        return _SWITCHED if switched else f"it does not speak HTTP: {error}"

    def _break_off(self, reason: str | LimitExceeded) -> None:
        """Remember why it ends here: what came before is told first."""
        self._broken = reason

    def _start_response(self, data: bytes) -> httptools.HttpResponseParser:
        """Reset the state for a new response; return its parser.

        `data` are its first bytes.
        """
        self._fields, self._pieces, self._cached_head, self._first = [], [], None, data
        self._bodiless = self._field_count = 0
        self._parser = parser = httptools.HttpResponseParser(self)
        # RFC 9112, section 2.2: a recipient may take a line feed alone for the end of a line.
        parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True)
        return parser

    def _feed(self, parser: httptools.HttpResponseParser, data: bytes) -> None:
        """Parse data, with a bound on all that is no body.

        The parser keeps what it has of a field, and copies it for each piece of data that comes.
        """
        rest = memoryview(data)
        while rest:
            room = MAX_HEAD_BYTES - self._bodiless
            piece, rest = rest[:room], rest[room:]
            self._bodiless += len(piece)
            parser.feed_data(piece)
            if self._bodiless >= MAX_HEAD_BYTES:
                raise LimitExceeded(f"the head of its answer has more than {MAX_HEAD_BYTES} bytes")

    def _tell(self) -> None:
        """Tell the receiver what has been parsed.

        It may close the connection meanwhile: then it hears nothing more.
        """
        if self._head is not None and not self._is_told and self._receiver is not None:
            self._is_told = True
            self._receiver.on_head(self._head)
        if self._pieces and self._receiver is not None:
            pieces, self._pieces = self._pieces, []
            self._receiver.on_body(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if self.is_complete and self._receiver is not None:
            receiver, self._receiver = self._receiver, None
            receiver.on_end()

    def connection_lost(self, error: Exception | None) -> None:
        """Take note that nothing more will come.

        A response without a length ends so; the parser has no call for that.
        """
        self._transport = None
        ends_so = self._head is not None and self._head.ends_with_connection
        if ends_so and error is None and not self.is_complete:
            self.is_complete = True
            self._tell()
        else:
            self._fail(_CLOSED if self._head is None else _IN_THE_MIDDLE)

    # -- what the parser tells

    def on_message_begin(self) -> None:
        """Handle a second message: close the connection.

        Data after the response must not be taken for the response to the next request.
        """
        if self.is_complete:
            self._abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the fields of the head; trailers are only counted."""
        self._field_count += 1
        if self._field_count > MAX_HEADERS:
            raise LimitExceeded(f"the head of its answer has more than {MAX_HEADERS} fields")
        if self._head is None:
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Read the head of the final response.

        Fields of an interim response (1xx, RFC 9110 section 15.2) do not belong to it.
        """
        fields, self._fields = self._fields, []
        parser = self._parser
        if parser is None or self.is_complete:
            return
        status = parser.get_status_code()
        if status < HTTPStatus.OK:
            self._first = b""
            return
        # They are often the same as those of the response before.
        if self._last_head is None or self._last_head.status != status or self._last_fields != fields:
            self._last_head, self._last_fields = read_head(status, fields), fields
        self._head = self._last_head

    def on_body(self, body: bytes) -> None:
        """Collect a piece of the body."""
        if not self.is_complete:
            self._bodiless = 0
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        """Take note that the response is complete."""
        if self._head is None or self.is_complete:
            return
        self.is_complete = True
        keep_alive = self._parser is not None and self._parser.should_keep_alive()
        if not keep_alive and self._transport is not None:
            self._transport.close()
        head = self._head
        may_come_again = keep_alive and head.status == HTTPStatus.OK and not (head.cookies or head.codings)
        if may_come_again and head.length and self._first and len(self._pieces) == 1:
            block = cacheable_head(self._first, self._pieces[0])
            self._cached_head = None if block is None else _CachedHead(block, head)

    def _settle(self) -> None:
        """Count the request out of those that wait for a response."""
        if self._awaited:
            self._awaited = False
            self._outbox.requests_in_flight -= 1

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, reason: str | LimitExceeded) -> None:
        self._settle()
        self._pieces = []
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            was_written = self._written
            lost = reason if isinstance(reason, LimitExceeded) else ConnectionLost(reason, was_written=was_written)
            receiver.on_lost(lost)
