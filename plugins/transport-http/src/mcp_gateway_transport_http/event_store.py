"""SSE event store of the handshake era.

A client may request events again after a broken connection.

All sessions share one memory budget, and the oldest events are evicted first. Events of one session are never sent to
another, although the SDK uses the same stream names in all sessions.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

import anyio
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import JSONRPCMessage, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

MAX_EVENTS = 1_000
MAX_BYTES = 16 << 20

RETRY_MILLISECONDS = 500
"""How long a client should wait before it reconnects (SSE `retry`)."""


class _Event(NamedTuple):
    session: int
    stream: str
    message: JSONRPCMessage | None
    size: int


@dataclass(slots=True)
class EventLog:
    """The events of all sessions, oldest first, by their numbers."""

    events: OrderedDict[int, _Event] = field(default_factory=OrderedDict)
    size: int = 0
    _numbers: count[int] = field(default_factory=lambda: count(1))
    _sessions: count[int] = field(default_factory=lambda: count(1))

    def open_session_store(self) -> EventStore:
        """Return the event store of a new session."""
        return _SessionEventStore(self, next(self._sessions))

    def append(self, session: int, stream: str, message: JSONRPCMessage | None) -> int:
        """Append an event, evict the oldest, and return its number.

        Events are evicted when there are too many, in number or in bytes.
        """
        number, size = next(self._numbers), _estimate_size(message)
        self.events[number] = _Event(session, stream, message, size)
        self.size += size
        while len(self.events) > MAX_EVENTS or (self.size > MAX_BYTES and len(self.events) > 1):
            _, oldest = self.events.popitem(last=False)
            self.size -= oldest.size
        return number


@dataclass(slots=True)
class _SessionEventStore(EventStore):
    """The event store of one session."""

    past: EventLog
    session: int

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        return str(self.past.append(self.session, stream_id, message))

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        last = self.past.events.get(int(last_event_id)) if last_event_id.isdecimal() else None
        if last is None or last.session != self.session:
            return None
        for number, event in list(self.past.events.items()):
            # Events without a message only give a stream its first id.
            later = number > int(last_event_id) and event.message is not None
            if later and (event.session, event.stream) == (self.session, last.stream):
                await send_callback(EventMessage(event.message, str(number)))  # type: ignore[arg-type]  # later has it
        return last.stream


class ResumableSessionManager(StreamableHTTPSessionManager):
    """Session manager with an event store for each session.

    It extends the SDK's session manager.
    """

    def __init__(self, **options: Any) -> None:
        """Create a manager with an empty event log."""
        self._past = EventLog()
        super().__init__(**options, retry_interval=RETRY_MILLISECONDS)

    def reset_idle_timeout(self, session_id: str) -> None:
        """Reset the idle timeout of a session.

        It is for requests on the fast path, which the SDK does not see.
        """
        transport = self._server_instances.get(session_id)
        scope = transport.idle_scope if transport is not None else None
        if scope is not None and self.session_idle_timeout is not None and scope.deadline != math.inf:
            scope.deadline = anyio.current_time() + self.session_idle_timeout

    @property
    def event_store(self) -> EventStore:
        """A new event store for the SDK's next session.

        The SDK reads this property once for each session.
        """
        return self._past.open_session_store()

    @event_store.setter
    def event_store(self, _: EventStore | None) -> None:
        """Ignore the store that the base class sets."""


def _estimate_size(message: JSONRPCMessage | None) -> int:
    """Estimate how much memory a message takes, in bytes."""
    match message:
        case JSONRPCResponse():
            return _weight(message.result)
        case JSONRPCRequest() | JSONRPCNotification():
            return _weight(message.params)
    return 200


def _weight(value: Any) -> int:
    match value:
        case dict():
            return 100 + sum(len(key) + _weight(inner) for key, inner in value.items())
        case list():
            return 60 + sum(map(_weight, value))
        case str():
            return 50 + len(value)
    return 30
