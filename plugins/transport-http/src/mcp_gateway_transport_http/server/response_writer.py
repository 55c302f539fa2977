"""The response to one request: JSON, or a stream of events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

from mcp.shared.inbound import ERROR_CODE_HTTP_STATUS

from mcp_gateway.plugin import RawResponse, to_line
from mcp_gateway_transport_http._uvicorn import STATUS_LINE
from mcp_gateway_transport_http.server.event_store import RETRY_MILLISECONDS, EventStream
from mcp_gateway_transport_http.server.message_request import MessageRequest

MAX_UNREAD_BYTES = 8 << 20
"""How much may wait for a client that does not read; messages beyond it are dropped, responses never."""

# Joining would copy what is larger.
_LARGE = 64 << 10

_OK = HTTPStatus.OK
"""To read a member of an enum takes a call (Python 3.11)."""
_STREAM_HEAD = b"content-type: text/event-stream\r\ncache-control: no-cache, no-transform\r\nx-accel-buffering: no\r\n"
_JSON = b"content-type: application/json\r\n"
_INTERNAL_ERROR = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"Internal error"}}'
_COMMENT = b": ping\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"


class ResponseConnection(Protocol):
    """The connection that a response is written to."""

    @property
    def transport(self) -> asyncio.Transport:
        """Where the bytes go."""
        ...

    @property
    def is_write_paused(self) -> bool:
        """Whether the client does not read what was written."""
        ...

    def default_headers(self) -> bytes:
        """Return the header lines of every response."""
        ...

    def send(self, data: bytes, *, more: bool = False) -> None:
        """Write a small piece of a response, together with those of others.

        `more`: the response goes on.
        """
        ...

    def send_at_once(self, *parts: bytes) -> None:
        """Write a large piece, or the last of the connection."""
        ...

    def on_request_ended(self, writer: HttpResponseWriter) -> None:
        """Handle that there is a response, or that none is wanted."""
        ...

    def on_response_written(self, writer: HttpResponseWriter) -> None:
        """Handle that the response was written whole."""
        ...

    def on_message_dropped(self) -> None:
        """Count a message that the client did not read in time."""
        ...


class _NullEvent:
    """A message event without waiters."""

    @staticmethod
    def set() -> None:
        """Do nothing."""


class HttpResponseWriter:
    """Writes one response; stands in for uvicorn's cycle, too.

    `request` is what it answers, `abandon` what ends the call, `silent_since` when something was written last, as far
    as it was looked at.
    """

    __slots__ = (
        "_connection",
        "_events",
        "_has_ended",
        "abandon",
        "disconnected",
        "keep_alive",
        "request",
        "response_complete",
        "response_started",
        "silent_since",
    )

    body = b""
    message_event = _NullEvent

    def __init__(self, connection: ResponseConnection, request: MessageRequest) -> None:
        """Begin with nothing written."""
        self._connection, self.request = connection, request
        self._events: EventStream | None = None
        self._has_ended = self.response_complete = self.response_started = self.disconnected = False
        self.keep_alive = request.keep_alive
        self.abandon: Callable[[], None] | None = None
        self.silent_since: float | None = None

    # -- what the server tells

    @property
    def is_congested(self) -> bool:
        """Whether the client does not read what has been written."""
        return not self.disconnected and self._connection.is_write_paused

    def write(self, message: bytes) -> None:
        """Write a message before the response, as an event."""
        # Who has lost the connection before there was an event has no id to ask by.
        if self._has_ended or (self.disconnected and self._events is None):
            return
        if self._connection.is_write_paused and self._is_overfull():
            self._connection.on_message_dropped()
            return
        self.silent_since = None
        head = b"" if self.response_started else self._start_stream()
        event = self._encode_event(message, is_first=bool(head))
        if not self.disconnected:
            self._send_event(event, head=head)

    def finish(self, response: RawResponse) -> None:
        """Write the response, and go on with the connection."""
        if self._has_ended:
            return
        self._end()
        if self.response_started:
            self._finish_stream(response)
        elif not self.disconnected:
            self._finish_whole(*_response_parts(response))

    def fail(self) -> None:
        """Say that the gateway has failed, and close."""
        if not self._has_ended:
            self.keep_alive = False
            self._end()
            self._finish_whole(HTTPStatus.INTERNAL_SERVER_ERROR, _JSON, _INTERNAL_ERROR)

    # -- what the connection tells

    def on_connection_lost(self) -> None:
        """Go on if the client may come back; else abandon."""
        self.disconnected = True
        if not self.request.is_resumable and not self._has_ended:
            abandon = self.abandon
            self._end()
            if abandon is not None:
                abandon()

    def cancel(self, msg: object = None) -> None:  # noqa: ARG002  # called as a task's method is
        """Abandon the call at the end of the gateway."""
        if not self._has_ended:
            self._has_ended = True
            if self.abandon is not None:
                self.abandon()
            self._connection.transport.abort()

    def on_tick(self, now: float, interval: float) -> None:
        """Write a comment if nothing was written for so many seconds."""
        if (session := self.request.session) is not None:
            session.touch(now)
        if self.silent_since is None:
            self.silent_since = now
        elif now - self.silent_since >= interval and not self._connection.is_write_paused:
            self.silent_since = now
            self._write_comment()

    # -- the stream of events

    def _write_comment(self) -> None:
        """Write what keeps clients and proxies from giving up."""
        if self.response_started:
            self._send_event((_COMMENT,))
            return
        head = self._start_stream()
        priming = b""
        if self._events is not None and self.request.can_be_primed:
            # Who loses the connection now can ask for what follows.
            priming = b"id: %d\r\nretry: %d\r\ndata: \r\n\r\n" % (self._events.append(None), RETRY_MILLISECONDS)
        self._send_event((priming, _COMMENT), head=head)

    def _start_stream(self) -> bytes:
        """Return the head of a stream that begins."""
        self.response_started = True
        if self.request.is_resumable and self.request.session is not None:
            self._events = self.request.session.open_stream()
        framing = b"transfer-encoding: chunked\r\n" if self.request.is_chunkable else b""
        return self._head(HTTPStatus.OK, _STREAM_HEAD + framing)

    def _encode_event(self, message: bytes, *, is_first: bool = False) -> tuple[bytes, bytes, bytes]:
        """Return the event of a message; store it if resumable."""
        line = to_line(message)
        if self._events is None:
            return b"event: message\r\ndata: ", line, b"\r\n\r\n"
        retry = b"retry: %d\r\n" % RETRY_MILLISECONDS if is_first else b""
        return b"id: %d\r\nevent: message\r\n%bdata: " % (self._events.append(line), retry), line, b"\r\n\r\n"

    def _send_event(self, event: tuple[bytes, ...], *, head: bytes = b"", is_last: bool = False) -> None:
        """Write an event with the head or the end of its stream."""
        size = sum(map(len, event))
        parts = (head, *event)
        if self.request.is_chunkable:
            chunk = (b"%x\r\n" % size, *event, b"\r\n") if event else ()
            parts = (head, *chunk, _LAST_CHUNK if is_last else b"")
        self._send(*parts, size=size, is_last=is_last)

    def _finish_stream(self, response: RawResponse) -> None:
        """Write the response as the last event of the stream."""
        event = self._encode_event(response.message) if response.message else ()
        if self._events is not None:
            self._events.end()
        if not self.disconnected:
            self._send_event(event, is_last=True)
            self._connection.on_response_written(self)

    # -- a response alone

    def _finish_whole(self, status: int, kind: bytes, body: bytes) -> None:
        head, size = self._head(status, b"%bcontent-length: %d\r\n" % (kind, len(body))), len(body)
        if size < _LARGE and self.keep_alive:
            self._connection.send(head + body)
        else:
            self._connection.send_at_once(head, body)
        self._connection.on_response_written(self)

    def _head(self, status: int, lines: bytes) -> bytes:
        end = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        return b"".join(
            (STATUS_LINE[status], self._connection.default_headers(), self.request.response_headers, lines, end)
        )

    def _send(self, *parts: bytes, size: int, is_last: bool) -> None:
        if size >= _LARGE or (is_last and not self.keep_alive):
            self._connection.send_at_once(*parts)
        else:
            self._connection.send(b"".join(parts), more=not is_last)

    # -- its end

    def _end(self) -> None:
        self._has_ended = self.response_complete = True
        self.abandon = None  # it leads back to this writer, and only the garbage collector would find the two
        self._connection.on_request_ended(self)

    def _is_overfull(self) -> bool:
        return self.is_congested and self._connection.transport.get_write_buffer_size() > MAX_UNREAD_BYTES


def _response_parts(response: RawResponse) -> tuple[int, bytes, bytes]:
    """Return the status, the line of the content type, and the body."""
    if response.accepted:
        return HTTPStatus.ACCEPTED, b"", b""
    if not response.message:
        return HTTPStatus.OK, b"content-type: text/event-stream\r\n", b""
    if response.streamed:
        event = b"event: message\r\ndata: %b\r\n\r\n" % to_line(response.message)
        return HTTPStatus.OK, b"content-type: text/event-stream\r\n", event
    status = _OK if response.error is None else ERROR_CODE_HTTP_STATUS.get(response.error, _OK)
    return status, _JSON, response.message
