"""A request under way without a task, until its response."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from mcp.shared.exceptions import MCPError

from mcp_gateway.plugin import ConnectionDropped, RequestNotSent, ServerUnavailable, TransportFault
from mcp_gateway_transport_http.client.carriers.carrier import ConnectionLost, ResponseHead
from mcp_gateway_transport_http.client.drop_counter import DropCounter
from mcp_gateway_transport_http.client.exchange import Exchange, Link
from mcp_gateway_transport_http.client.responses.limits import LimitExceeded
from mcp_gateway_transport_http.client.responses.messages import (
    Kind,
    is_plain_response,
    kind_of,
    looks_like_json,
    method_of,
    negotiated_version,
    split_messages,
    strip_mark,
)
from mcp_gateway_transport_http.client.responses.refusals import (
    foreign_answer,
    no_message,
    own_error,
    refusal_of,
    session_loss_of,
    status_line,
    wrong_kind,
)
from mcp_gateway_transport_http.client.responses.sse import SseParser

if TYPE_CHECKING:
    from mcp_gateway.plugin import ResponseHandler

_DRAIN_SECONDS = 1.0
"""How long a stream may go on after the response. Its end comes just behind, and the connection can serve again."""

_BACK_OFF = 0.05
_MAX_BACK_OFF = 5.0
_REFUSED_POST = frozenset({400, 404, 405, 501})
"""How older servers, over HTTP+SSE, refuse a POST (2025-11-25, "Backwards Compatibility")."""

_NO_ANSWER = "it ended the stream without an answer"

MessageFn = Callable[[bytes], None]


class RequestExchange(Exchange):
    """A request's POST, and the GETs that resume its stream."""

    __slots__ = (
        "_dropped",
        "_fruitless",
        "_handler",
        "_headers",
        "_last_event_id",
        "_on_late_message",
        "_request_id",
        "_resumed",
        "_session_id",
        "_timer",
        "_unnamed",
    )

    def __init__(
        self, link: Link, request_id: int, handler: ResponseHandler, dropped: DropCounter, on_late_message: MessageFn
    ) -> None:
        """Prepare; `on_late_message` gets what comes on its stream after the response."""
        super().__init__(link)
        self._request_id, self._dropped, self._on_late_message = request_id, dropped, on_late_message
        self._handler: ResponseHandler | None = handler
        self._timer: asyncio.TimerHandle | None = None
        self._last_event_id: str | None = None
        self._unnamed: bytes | None = None
        self._session_id: str | None = None
        self._resumed = False
        self._fruitless = 0

    def begin(self, message: bytes, headers: Mapping[str, str]) -> None:
        """Send the request."""
        self._headers = headers
        session = self.link.session
        self._session_id = session.id
        try:
            request = session.build_request(headers, message)
        except RequestNotSent as error:
            asyncio.get_running_loop().call_soon(self._fail, error)
        else:
            self._send(request)

    def abandon(self) -> None:
        """Close the stream, and say nothing any more."""
        self._handler = None
        self._stop_timer()
        self.close()

    # -- what is read of it

    def on_head(self, head: ResponseHead) -> None:
        """Take the id of a session that is being opened."""
        super().on_head(head)
        if head.session_id and head.has_message and self.link.session.id is None and self._is_initialize():
            self.link.session.open(head.session_id, "")

    def on_event(self, event: bytes) -> None:
        """Hand messages over, and the response."""
        if event[:1] == b"{":
            self._sort(event)
            return
        for message in split_messages(event):
            self._sort(message)

    def on_whole(self, head: ResponseHead, body: bytes) -> None:
        """Read a JSON body, or what the status means."""
        if self._handler is None:
            return
        if not head.has_message:
            self._on_refusal(head, body)
        elif is_plain_response(body, self._request_id):
            self._answer(body)
        else:
            self._read_odd_body(head, body)

    def on_stream_end(self, events: SseParser) -> None:
        """Resume a stream with ids that ended before the response."""
        self._stop_timer()
        if self._handler is None:
            return
        if self._unnamed is not None:
            self._answer(self._unnamed)
            return
        last, before = events.last_event_id or self._last_event_id, self._last_event_id
        if last is None:
            self._fail_unanswered(ConnectionDropped(_NO_ANSWER))
            return
        self._fruitless = 0 if last != before else self._fruitless + 1
        pause = min(_BACK_OFF * 2**self._fruitless, _MAX_BACK_OFF) if self._resumed else 0
        self._last_event_id = last
        self.link.exchanges.add(self)
        self._timer = asyncio.get_running_loop().call_later(max(events.retry_delay, pause), self._resume)

    def on_broken(self, error: ConnectionLost | LimitExceeded) -> None:
        """Say whether any of the request can have reached the server."""
        self._stop_timer()
        self._fail(failure_of(error))

    # --

    def _sort(self, message: bytes) -> None:
        kind = kind_of(message, self._request_id)
        if kind is Kind.RESPONSE and self._handler is not None:
            self._answer(message)
        elif kind is Kind.UNNAMED and self._handler is not None:
            self._unnamed = message
        elif kind is Kind.OTHER:
            (self._on_late_message if self._handler is None else self._handler.on_message)(message)
        else:
            self._dropped.count(kind)

    def _answer(self, message: bytes) -> None:
        """Deliver the response; read the rest of its stream briefly."""
        handler, self._handler = self._handler, None
        self._stop_timer()
        if self._flow is not None and not self._flow.is_complete:
            self._timer = asyncio.get_running_loop().call_later(_DRAIN_SECONDS, self.close)
        if handler is None:
            return
        if self._session_id is not None and (lost := session_loss_of(message, self._session_id)) is not None:
            handler.on_failure(lost.error)
            return
        session = self.link.session
        if session.id is not None and not session.version and self._is_initialize():
            session.open(session.id, negotiated_version(message))
        handler.on_response(message)

    def _on_refusal(self, head: ResponseHead, body: bytes) -> None:
        refusal = refusal_of(head, body, self._session_id)
        if refusal is not None:
            if head.status in _REFUSED_POST and refusal.fault is TransportFault.UNREACHABLE and self._is_initialize():
                refusal = replace(refusal, fault=TransportFault.UNSUPPORTED)
            self._fail(refusal.error)
        elif self._resumed:
            self._fail(ConnectionDropped(f"{_NO_ANSWER}, and then: {status_line(head.status)}"))
        else:
            self._answer(own_error(body, head.content_type))

    def _read_odd_body(self, head: ResponseHead, body: bytes) -> None:
        """Read a body that is not written as nearly all are."""
        refusal = no_message() if head.content_type.startswith("application/json") else wrong_kind(head.content_type)
        text = strip_mark(body)
        for message in split_messages(text) if looks_like_json(text) else ():
            if kind_of(message, self._request_id) is Kind.FOREIGN:
                refusal = foreign_answer()
            self._sort(message)
        if self._unnamed is not None:
            self._answer(self._unnamed)
        if self._handler is not None:
            self._fail_unanswered(refusal.error)

    def _fail_unanswered(self, error: Exception) -> None:
        """Report that the response was not the request's.

        The next request on its connection would get the one that was.
        """
        self.close()
        self._fail(error)

    def _resume(self) -> None:
        """Ask for the rest of the stream, on another connection."""
        self._timer = None
        self._resumed = True
        headers = {**self._headers, "last-event-id": self._last_event_id or ""}
        try:
            request = self.link.session.build_request(headers, None, "GET")
        # The id may hold what no header does.
        except RequestNotSent as error:
            self.link.exchanges.discard(self)
            self._fail(error)
        else:
            self._send(request)

    def _fail(self, error: Exception) -> None:
        """Report a failure to the handler.

        What follows a broken stream is not about the request.
        """
        handler, self._handler = self._handler, None
        if handler is None:
            return
        if self._resumed and isinstance(error, RequestNotSent | MCPError):
            error = ConnectionDropped(f"{_NO_ANSWER}, and then: {error}")
        handler.on_failure(error)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _is_initialize(self) -> bool:
        body = None if self._request is None else self._request.body
        return body is not None and method_of(body) == "initialize"


def failure_of(error: ConnectionLost | LimitExceeded) -> ServerUnavailable:
    """Return the error of a failed request.

    It says whether any of it can have reached the server.

    One whose answer is too long is not worth repeating.
    """
    if isinstance(error, LimitExceeded):
        return ServerUnavailable(str(error))
    kind = ConnectionDropped if error.was_written else RequestNotSent
    return kind(str(error), permanent=error.is_permanent)
