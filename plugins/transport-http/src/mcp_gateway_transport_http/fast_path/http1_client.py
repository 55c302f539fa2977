"""A thin HTTP/1.1 connection to a server.

Bytes go out, a parsed response comes in.
"""

from __future__ import annotations

import asyncio
import select
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import cast

import httptools

from mcp_gateway_transport_http.client.refusals import is_message_status
from mcp_gateway_transport_http.client.response_limits import (
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_MESSAGE_BYTES,
    LimitExceeded,
    too_long,
)
from mcp_gateway_transport_http.fast_path.body_pieces import Pieces
from mcp_gateway_transport_http.fast_path.header_cache import Head, cacheable_head
from mcp_gateway_transport_http.fast_path.responses import ConnectionLost, RawHttpResponse, ReplyFn
from mcp_gateway_transport_http.fast_path.write_batch import WriteBatch


@dataclass(frozen=True, slots=True)
class _CachedHead:
    """A cached response header block and its parsed content type.

    The content type was parsed from exactly these bytes.
    """

    head: Head
    content_type: bytes


class Connection(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self, outbox: WriteBatch, max_bytes: int = MAX_MESSAGE_BYTES) -> None:
        """Begin unconnected, with an outbox and a bound of bodies.

        What is sent goes by `outbox`, and no body may have more than `max_bytes`.
        """
        self._outbox, self._max_bytes = outbox, max_bytes
        self.used = 0.0
        self.complete = True
        self._written = False
        self._transport: asyncio.Transport | None = None
        self._done: ReplyFn | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._cached_head: _CachedHead | None = None
        self._first = b""
        self._content_type = b""
        self._retry_after = self._location = self._challenge = ""
        self._encoded = False
        self._body: bytes | bytearray = b""
        self._length = self._bodiless = self._fields = 0
        self._pieces: Pieces | None = None
        self._poll: select.poll | None = None

    @property
    def is_open(self) -> bool:
        """Whether another request can be sent."""
        return self.complete and not self.is_closing()

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing to be read.

        What an unused connection has to say is that it ends.
        """
        return self._poll is None or not self._poll.poll(0)

    def request(self, message: bytes) -> asyncio.Future[RawHttpResponse]:
        """Send a request; return what will be its response."""
        reply: asyncio.Future[RawHttpResponse] = asyncio.get_running_loop().create_future()
        self.send(message, partial(_settle, reply))
        return reply

    def send(self, message: bytes, done: ReplyFn) -> None:
        """Send a request; `done` hears what comes of it."""
        self._done, self._parser, self._pieces, self.complete, self._written = done, None, None, False, False
        if self._transport is None:
            self._fail("it closed the connection")
        else:
            self._outbox.write(self, message)

    def write(self, message: bytes) -> None:
        """Write a request; the outbox calls this when it is its turn."""
        if self._transport is not None:
            self._written = True
            self._transport.write(message)

    def is_closing(self) -> bool:
        """Whether nothing can be written any more."""
        return self._transport is None or self._transport.is_closing()

    def close(self) -> None:
        """Close, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

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
        if self.complete:
            self.close()  # nobody has asked anything
            return
        known = self._cached_head if self._parser is None else None
        if known is not None and (start := known.head.body_offset(data)):
            self.complete = True
            self._resolve(RawHttpResponse(200, known.content_type, data[start:]))
            return
        parser = self._parser or self._start_response(data)
        try:
            self._feed(parser, data)
        except LimitExceeded as error:
            self._fail(error)
            self.close()
        except httptools.HttpParserError as error:
            # httptools wraps what its callbacks raise.
            excess = error.__context__
            self._fail(excess if isinstance(excess, LimitExceeded) else f"it does not speak HTTP: {error}")
            self.close()
        except httptools.HttpParserUpgrade:
            self._fail("it switched to another protocol, which nobody asked for")
            self.close()
        self._first = b""

    def _start_response(self, data: bytes) -> httptools.HttpResponseParser:
        """Reset the state for a new response; return its parser.

        `data` are its first bytes.
        """
        self._reset_head()
        self._body, self._bodiless, self._fields, self._cached_head, self._first = b"", 0, 0, None, data
        self._parser = parser = httptools.HttpResponseParser(self)
        return parser

    def _feed(self, parser: httptools.HttpResponseParser, data: bytes) -> None:
        """Parse data, with a bound on all that is no body.

        The parser keeps what it has of a field, and copies it for each piece of data that comes.
        """
        while data:
            room = MAX_HEAD_BYTES - self._bodiless
            piece, data = data[:room], data[room:]
            self._bodiless += len(piece)
            parser.feed_data(piece)
            if self._bodiless >= MAX_HEAD_BYTES:
                raise LimitExceeded(f"the head of its answer has more than {MAX_HEAD_BYTES} bytes")

    def _reset_head(self) -> None:
        """Reset the parsed header fields.

        Those of an interim response (1xx, RFC 9110 section 15.2) do not belong to the final one.
        """
        self._content_type, self._encoded, self._first, self._length = b"", False, b"", 0
        self._retry_after = self._location = self._challenge = ""

    def connection_lost(self, _: Exception | None) -> None:
        """Take note that nothing more will come."""
        self._transport = None
        self._fail("it closed the connection without an answer")

    # -- what the parser tells

    def on_message_begin(self) -> None:
        """Handle a second message: close the connection.

        Data after the response must not be taken for the response to the next request.
        """
        if self.complete:
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the headers that matter."""
        self._fields += 1
        if self._fields > MAX_HEADERS:
            raise LimitExceeded(f"the head of its answer has more than {MAX_HEADERS} fields")
        match name.lower():
            case b"content-type":
                self._content_type = value.lower()
            case b"retry-after":
                self._retry_after = value.decode("latin-1").strip()[:40]
            case b"content-encoding":
                self._encoded = value.strip().lower() not in (b"", b"identity")
            case b"content-length":
                self._length = int(value[:18]) if value.isdigit() else 0
            case b"location":
                self._location = value.decode("latin-1").strip()
            case b"www-authenticate":
                self._challenge = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Hand over a stream of events as soon as it begins."""
        if self._content_type.startswith(b"text/event-stream") and is_message_status(self._status()):
            self._pieces = Pieces(self._transport)
            self._resolve(RawHttpResponse(200, self._content_type, pieces=self._pieces))
        elif self._length > self._max_bytes:
            raise too_long("its answer", self._max_bytes)

    def on_body(self, body: bytes) -> None:
        """Collect the body."""
        self._bodiless = 0
        # Unpacking is not bounded here, and `Accept-Encoding: identity` was sent.
        if self._encoded:
            raise LimitExceeded("its answer is compressed, though nobody asked for that")
        if self._pieces is not None:
            self._pieces.put(body)
        elif not self._body:
            self._body = body
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += body
            if len(self._body) > self._max_bytes:
                raise too_long("its answer", self._max_bytes)

    def on_message_complete(self) -> None:
        """Hand over a response that is complete."""
        if self._status() < HTTPStatus.OK:
            self._reset_head()
            return
        self.complete = True
        keep_alive = self._parser is not None and self._parser.should_keep_alive()
        if not keep_alive and self._transport is not None:
            self._transport.close()
        if self._pieces is not None:
            self._pieces.end()
            return
        status, body, self._body = self._status(), bytes(self._body), b""
        may_come_again = keep_alive and status == HTTPStatus.OK and not self._retry_after
        head = cacheable_head(self._first, body) if may_come_again else None
        self._cached_head = None if head is None else _CachedHead(head, self._content_type)
        more = (self._retry_after, self._location, self._challenge)
        self._resolve(RawHttpResponse(status, self._content_type, body, None, *more))

    def _status(self) -> int:
        return self._parser.get_status_code() if self._parser is not None else 0

    def _resolve(self, reply: RawHttpResponse | ConnectionLost | LimitExceeded) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(reply)

    def _fail(self, reason: str | LimitExceeded) -> None:
        self._body = b""
        lost = reason if isinstance(reason, LimitExceeded) else ConnectionLost(reason, was_written=self._written)
        self._resolve(lost)
        if self._pieces is not None:
            self._pieces.end(reason if isinstance(reason, LimitExceeded) else None)


def _settle(future: asyncio.Future[RawHttpResponse], reply: RawHttpResponse | ConnectionLost | LimitExceeded) -> None:
    if future.done():
        return
    if isinstance(reply, RawHttpResponse):
        future.set_result(reply)
    else:
        future.set_exception(reply)
