"""SSE event store of the handshake era.

A client may request the events again after a broken connection.

All sessions share one budget of memory; what is oldest is forgotten first. Events of one session
are never sent to another, though the SDK gives all sessions the same names for their streams.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

import anyio
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp_types import JSONRPCMessage, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

MAX_EVENTS = 10_000
MAX_BYTES = 16 << 20

RETRY_MILLISECONDS = 500
"""How long a client is asked to wait before it connects again."""

# What an event takes beside its message.
_EVENT_BYTES = 200
# No number of an event is longer.
_MAX_DIGITS = 19


class RawEvent(NamedTuple):
    """A message as bytes, encoded as the SDK encodes its own messages."""

    message: bytes

    def model_dump_json(self, **_options: object) -> str:
        """Return the message as it is."""
        return self.message.decode("utf-8", "replace")


class _Event(NamedTuple):
    session: int
    stream: str | EventStream
    message: JSONRPCMessage | bytes | None
    size: int


@dataclass(slots=True)
class EventLog:
    """The events of all sessions, oldest first, by their numbers."""

    events: OrderedDict[int, _Event] = field(default_factory=OrderedDict)
    size: int = 0
    _numbers: count[int] = field(default_factory=lambda: count(1))
    _sessions: count[int] = field(default_factory=lambda: count(1))

    def open_session_store(self) -> SessionEventStore:
        """Return the event store of a session that begins."""
        return SessionEventStore(self, next(self._sessions))

    def append(self, session: int, stream: str | EventStream, message: JSONRPCMessage | bytes | None) -> int:
        """Append an event, evict the oldest, and return its number.

        Events are evicted when there are too many, in number or in bytes.
        """
        number = next(self._numbers)
        size = _EVENT_BYTES + len(message) if isinstance(message, bytes) else _estimate_size(message)
        self.events[number] = _Event(session, stream, message, size)
        self.size += size
        while len(self.events) > MAX_EVENTS or (self.size > MAX_BYTES and len(self.events) > 1):
            self._evict_oldest()
        return number

    def _evict_oldest(self) -> None:
        _, oldest = self.events.popitem(last=False)
        self.size -= oldest.size
        if not isinstance(oldest.stream, str):
            oldest.stream.forget_oldest()


class EventStream:
    """The events of the stream that answers one request.

    A client that lost its connection gets them again, and those that follow until the answer.
    """

    __slots__ = ("_changed", "_numbers", "_store", "is_complete")

    def __init__(self, store: SessionEventStore) -> None:
        """Begin with no event."""
        self._store = store
        self._numbers: deque[int] = deque()
        self._changed: anyio.Event | None = None
        self.is_complete = False

    def append(self, message: bytes | None) -> int:
        """Store a message, None for the beginning; return the event's number."""
        number = self._store.past.append(self._store.session, self, message)
        self._numbers.append(number)
        if self._changed is not None:
            self._wake(self._changed)
        return number

    def end(self) -> None:
        """Tell those who follow that no more events come."""
        self.is_complete = True
        self._store.open_streams.discard(self)
        if self._changed is not None:
            self._wake(self._changed)

    def forget_oldest(self) -> None:
        """Forget the number of an event that was evicted."""
        self._numbers.popleft()

    async def replay(self, last: int, send: EventCallback) -> None:
        """Send the events after `last`, also those to come."""
        while True:
            if self._changed is None:
                self._changed = anyio.Event()
            changed = self._changed
            for number, event in self._later(last):
                last = number
                await send(EventMessage(event, str(number)))  # type: ignore[arg-type]  # it is encoded as one
            if changed.is_set():
                continue
            if self.is_complete:
                return
            await changed.wait()

    def _later(self, last: int) -> Iterator[tuple[int, RawEvent]]:
        events = self._store.past.events
        # A copy: more may come, or be evicted, while the client reads.
        for number in tuple(self._numbers):
            event = events.get(number) if number > last else None
            if event is not None and isinstance(event.message, bytes):
                yield number, RawEvent(event.message)

    def _wake(self, changed: anyio.Event) -> None:
        self._changed = None
        changed.set()


@dataclass(slots=True)
class SessionEventStore(EventStore):
    """The event store of one session."""

    past: EventLog
    session: int
    open_streams: set[EventStream] = field(default_factory=set)

    def open_stream(self) -> EventStream:
        """Return a new stream, for the response to one request."""
        stream = EventStream(self)
        self.open_streams.add(stream)
        return stream

    def close(self) -> None:
        """End the open streams: the session has ended."""
        for stream in tuple(self.open_streams):
            stream.end()

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        """Store an event of a stream of the SDK's."""
        return str(self.past.append(self.session, stream_id, message))

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        """Send later events; return the stream's name for the SDK."""
        number = int(last_event_id) if last_event_id.isdecimal() and len(last_event_id) <= _MAX_DIGITS else 0
        last = self.past.events.get(number)
        if last is None or last.session != self.session:
            return None
        if isinstance(last.stream, EventStream):
            await last.stream.replay(number, send_callback)
            return None
        for later, event in list(self.past.events.items()):
            # Events without a message only give a stream its first id.
            if later > number and event.message is not None and self._is_of(event, last.stream):
                await send_callback(EventMessage(event.message, str(later)))  # type: ignore[arg-type]  # no raw one
        return last.stream

    def _is_of(self, event: _Event, stream: str) -> bool:
        return event.session == self.session and event.stream == stream


def _estimate_size(message: JSONRPCMessage | None) -> int:
    """Estimate how much memory a message of the SDK's takes, in bytes."""
    match message:
        case JSONRPCResponse():
            return _weight(message.result)
        case JSONRPCRequest() | JSONRPCNotification():
            return _weight(message.params)
    return _EVENT_BYTES


def _weight(value: Any) -> int:
    match value:
        case dict():
            return 100 + sum(len(key) + _weight(inner) for key, inner in value.items())
        case list():
            return 60 + sum(map(_weight, value))
        case str():
            return 50 + len(value)
    return 30
