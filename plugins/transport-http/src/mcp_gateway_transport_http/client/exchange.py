"""One request and its response: redirects, limits, codings, events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field

from mcp_gateway_transport_http.client.carriers.carrier import Carrier, ConnectionLost, Flow, HttpRequest, ResponseHead
from mcp_gateway_transport_http.client.redirects import MAX_REDIRECTS, follow_redirect
from mcp_gateway_transport_http.client.responses.body_reader import BodyReader
from mcp_gateway_transport_http.client.responses.codings import open_decoder
from mcp_gateway_transport_http.client.responses.limits import LimitExceeded, too_long
from mcp_gateway_transport_http.client.responses.messages import looks_like_json
from mcp_gateway_transport_http.client.responses.sse import SseParser
from mcp_gateway_transport_http.client.session import HttpSession

_REFUSAL_BYTES = 1 << 20
"""How much of a refusal is read."""

_SMALL_BYTES = 8 << 10
"""How much of a stream is worked on at once, without a look at the time."""

_REDIRECT_BYTES = 64 << 10
"""How much of a redirect is read before its connection is closed."""


@dataclass(slots=True)
class Link:
    """What all exchanges of a session share.

    `is_paused`: nothing is read, as the clients do not keep up.
    """

    session: HttpSession
    carrier: Carrier
    max_bytes: int
    is_paused: bool = False
    exchanges: set[Exchange] = field(default_factory=set)


class Exchange(ABC):
    """One request, and the reading of its response.

    A subclass gives a meaning to what is read: events as they come, or a body as a whole.
    """

    __slots__ = (
        "_events",
        "_flow",
        "_head",
        "_is_begun",
        "_is_turn_over",
        "_moved",
        "_pieces",
        "_reader",
        "_redirects",
        "_request",
        "_size",
        "link",
    )

    def __init__(self, link: Link) -> None:
        """Begin without a request."""
        self.link = link
        self._flow: Flow | None = None
        self._request: HttpRequest | None = None
        self._redirects = MAX_REDIRECTS

    def _send(self, request: HttpRequest) -> None:
        """Send a request; what has been read of another response is forgotten."""
        self._request = request
        self._head: ResponseHead | None = None
        self._moved: HttpRequest | None = None
        self._reader: BodyReader | None = None
        self._events: SseParser | None = None
        self._pieces: list[bytes | bytearray] = []
        self._size = 0
        self._is_begun = self._is_turn_over = False
        self.link.exchanges.add(self)
        self._flow = self.link.carrier.send(request, self)
        if self.link.is_paused:
            self._flow.set_reading_paused(paused=True)

    def close(self) -> None:
        """Give it up: its connection is closed, and nothing more is heard."""
        self.link.exchanges.discard(self)
        if self._flow is not None:
            flow, self._flow = self._flow, None
            flow.close()
            if self._reader is not None:
                self._reader.close()

    def end(self) -> None:
        """Give it up as the session is over."""
        self.close()
        self.on_broken(ConnectionLost("the session has ended", was_written=self._request is not None))

    def set_reading_paused(self, *, paused: bool) -> None:
        """Stop reading the response, or go on."""
        if self._flow is not None:
            self._flow.set_reading_paused(paused=paused or self._is_turn_over)

    # -- what a subclass does with it

    @abstractmethod
    def on_event(self, event: bytes) -> None:
        """Handle the data of one event."""

    @abstractmethod
    def on_stream_end(self, events: SseParser) -> None:
        """Handle the end of the event stream.

        The connection is released afterwards, unless it is closed.
        """

    @abstractmethod
    def on_whole(self, head: ResponseHead, body: bytes) -> None:
        """Handle a response that is no stream.

        The connection is released afterwards, unless it is closed.
        """

    @abstractmethod
    def on_broken(self, error: ConnectionLost | LimitExceeded) -> None:
        """Handle that there will be no response."""

    # -- what the carrier tells

    def on_head(self, head: ResponseHead) -> None:
        """Choose how the body is read."""
        self._head = head
        if head.cookies:
            self.link.session.keep_cookies(head)
        if not head.has_message and self._redirects and self._request is not None:
            self._moved = follow_redirect(self._request, head)
        if self._moved is not None:
            return
        if head.has_events:
            self._events = SseParser(self.link.max_bytes)
        if head.codings:
            self._open_decoder(head)
        elif head.has_message and not head.has_events and head.length > self.link.max_bytes:
            self._break_off(too_long("its answer", self.link.max_bytes))

    def on_body(self, piece: bytes) -> None:
        """Read a piece of the body."""
        if self._reader is not None:
            self._reader.feed(piece)
        elif self._events is None:
            self._collect(piece)
        else:
            self._read_events(self._events, piece)

    def on_end(self) -> None:
        """Finish, when all that has come has been read."""
        if self._reader is not None:
            self._reader.end()
        else:
            self._finish()

    def on_lost(self, error: ConnectionLost | LimitExceeded) -> None:
        """Handle a lost connection with what has been received.

        A refusal or a stream with ids may do without the rest.
        """
        head = self._head
        is_enough = head is not None and (self._events is not None or not head.has_message)
        if isinstance(error, LimitExceeded) or not is_enough:
            self._break_off(error)
        else:
            self.on_end()

    # -- what the reader tells

    def on_item(self, item: bytes) -> None:
        """Hand an event over, or collect a decoded piece."""
        if self._events is not None:
            self.on_event(item)
        else:
            self._collect(item)

    def on_read(self, error: LimitExceeded | None) -> None:
        """Finish what has been read."""
        if error is None:
            self._finish()
        else:
            self._break_off(error)

    def set_turn_over(self, *, over: bool) -> None:
        """Let others have their turn: the connection is not read meanwhile."""
        self._is_turn_over = over
        self.set_reading_paused(paused=self.link.is_paused)

    # --

    def _read_events(self, events: SseParser, piece: bytes) -> None:
        """Read a few events at once, and many in turns."""
        if not self._is_begun:
            self._is_begun = True
            # JSON under a wrong name; no stream of events begins so.
            if looks_like_json(piece):
                self._events = None
                self._collect(piece)
                return
        if len(piece) > _SMALL_BYTES:
            self._reader = BodyReader(self, self._split_events)
            self._reader.feed(piece)
            return
        try:
            for event in events.parse(piece):
                self.on_event(event)
                if self._flow is None:
                    return
        except LimitExceeded as error:
            self._break_off(error)

    def _open_decoder(self, head: ResponseHead) -> None:
        try:
            decoder = open_decoder(head.codings)
        except LimitExceeded as error:
            # Of a refusal, its status says enough.
            if head.has_message:
                self._break_off(error)
            else:
                self._end_early(b"")
            return
        self._reader = BodyReader(self, _whole if self._events is None else self._split_events, decoder)

    def _split_events(self, piece: bytes) -> Iterator[bytes]:
        return iter(()) if self._events is None else self._events.parse(piece)

    def _collect(self, piece: bytes) -> None:
        if self._head is None or self._flow is None:
            return
        self._size += len(piece)
        if not self._pieces or len(piece) > _SMALL_BYTES:
            self._pieces.append(piece)
        # A server may send a body byte by byte: small pieces are kept together.
        elif isinstance(last := self._pieces[-1], bytearray):
            last += piece
        else:
            self._pieces.append(bytearray(piece))
        if self._head.has_message:
            if self._size > self.link.max_bytes:
                self._break_off(too_long("its answer", self.link.max_bytes))
        elif self._size > (_REFUSAL_BYTES if self._moved is None else _REDIRECT_BYTES):
            self._end_early(b"")

    def _end_early(self, body: bytes) -> None:
        """Take the response for complete, and close its connection."""
        head, moved = self._head, self._moved
        self.close()
        if moved is not None:
            self._move(moved)
        elif head is not None:
            self.on_whole(head, body)

    def _finish(self) -> None:
        """Tell the subclass, and release the connection."""
        head, events, pieces, moved = self._head, self._events, self._pieces, self._moved
        self._reader = None
        if self._flow is not None and not self._flow.is_complete:
            self.close()
        self.link.exchanges.discard(self)
        if moved is not None:
            self._release()
            self._move(moved)
            return
        if events is not None:
            self.on_stream_end(events)
        elif head is not None:
            self.on_whole(head, bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces))
        self._release()

    def _release(self) -> None:
        flow, self._flow = self._flow, None
        if flow is not None:
            flow.release()

    def _move(self, moved: HttpRequest) -> None:
        if self._request is not None and moved.origin != self._request.origin:
            self.link.session.move_to_https()
        self._redirects -= 1
        self._send(moved)

    def _break_off(self, error: ConnectionLost | LimitExceeded) -> None:
        self.close()
        self.on_broken(error)


def _whole(piece: bytes) -> Iterator[bytes]:
    yield piece
