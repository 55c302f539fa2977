"""The GET stream of a session: what a server says unasked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mcp_gateway.plugin import RequestNotSent
from mcp_gateway_transport_http.client.carriers.carrier import ConnectionLost, ResponseHead
from mcp_gateway_transport_http.client.drop_counter import DropCounter
from mcp_gateway_transport_http.client.exchange import Exchange, Link
from mcp_gateway_transport_http.client.responses.limits import LimitExceeded
from mcp_gateway_transport_http.client.responses.messages import Kind, kind_of, split_messages
from mcp_gateway_transport_http.client.responses.sse import SseParser

_MIN_DELAY, _MAX_DELAY = 0.25, 60.0
_MAX_FRUITLESS = 8
"""After so many streams in a row that brought nothing and soon ended, there is none: some minutes."""

_LONG = 10.0
"""A stream that lasted so many seconds was one, even if the server had nothing to say."""

_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which another try makes sense; any other means that the server has no such stream."""

_NO_REQUEST = -1


class SessionStream(Exchange):
    """The stream of a session, opened again whenever it ends."""

    __slots__ = ("_began", "_delay", "_dropped", "_fruitless", "_is_over", "_last_event_id", "_on_message", "_timer")

    def __init__(self, link: Link, on_message: Callable[[bytes], None], dropped: DropCounter) -> None:
        """Prepare."""
        super().__init__(link)
        self._on_message, self._dropped = on_message, dropped
        self._timer: asyncio.TimerHandle | None = None
        self._last_event_id: str | None = None
        self._delay = SseParser().retry_delay
        self._fruitless = 0
        self._began = 0.0
        self._is_over = False

    def open(self) -> None:
        """Open the stream, where the last one ended."""
        self._timer = None
        if self._is_over:
            return
        self._began = asyncio.get_running_loop().time()
        headers = {} if self._last_event_id is None else {"last-event-id": self._last_event_id}
        try:
            request = self.link.session.build_request(headers, None, "GET")
        # The id may hold what no header does.
        except RequestNotSent:
            self._last_event_id = None
            self._schedule()
        else:
            self._send(request)

    def end(self) -> None:
        """Close the stream for good."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
        self.close()

    def on_event(self, event: bytes) -> None:
        """Hand over the messages of an event."""
        self._fruitless = 0
        for message in split_messages(event):
            kind = kind_of(message, _NO_REQUEST)
            if kind is Kind.NONE:
                self._dropped.count(kind)
            else:
                self._on_message(message)

    def on_stream_end(self, events: SseParser) -> None:
        """Open it again, in a while."""
        if events.last_event_id not in (None, self._last_event_id):
            self._last_event_id, self._fruitless = events.last_event_id, 0
        self._delay = events.retry_delay
        self._schedule()

    def on_whole(self, head: ResponseHead, body: bytes) -> None:  # noqa: ARG002
        """Try again if the server is busy, else stop.

        It has no such stream then.
        """
        if head.status in _BUSY:
            self._schedule()
        else:
            self._is_over = True

    def on_broken(self, error: ConnectionLost | LimitExceeded) -> None:  # noqa: ARG002
        """Open it again, in a while."""
        self._schedule()

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - self._began >= _LONG:
            self._fruitless = 0
        if self._is_over or self._fruitless >= _MAX_FRUITLESS:
            return
        # A server whose stream ends at once must not be asked again and again.
        pause = min(2.0 ** (self._fruitless - 1), _MAX_DELAY) if self._fruitless else _MIN_DELAY
        self._fruitless += 1
        self._timer = loop.call_later(max(min(self._delay, _MAX_DELAY), pause), self.open)
