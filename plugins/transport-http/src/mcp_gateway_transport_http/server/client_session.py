"""A client's session of the handshake era, as the transport knows it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from mcp.server.streamable_http import StreamableHTTPServerTransport

from mcp_gateway_transport_http.server.event_store import EventStream, SessionEventStore

LIVE_SECONDS = 60.0
"""A session that was used within that time is never closed for another."""

# Renewing the timeout costs a timer: not with every request.
_RENEWALS_PER_TIMEOUT = 20


class Opener(NamedTuple):
    """The opener of a session: caller for limits, owner for access."""

    caller: str
    owner: tuple[object, ...]


@dataclass(slots=True, eq=False)
class ClientSession:
    """An open session: its opener, its requests, its last use.

    `idle_timeout` is in seconds; the SDK's transport ends the session by it.
    """

    opener: Opener
    transport: StreamableHTTPServerTransport
    store: SessionEventStore
    idle_timeout: float | None
    used_at: float
    open_requests: int = 0
    _renewed_at: float = field(default=-math.inf)

    def begin_request(self, now: float) -> None:
        """Count a request, or stream, that begins."""
        self.open_requests += 1
        self.touch(now)

    def end_request(self, now: float) -> None:
        """Count a request, or stream, that has ended."""
        self.open_requests -= 1
        self.touch(now)

    def touch(self, now: float) -> None:
        """Begin the idle time anew."""
        self.used_at = now
        if self.idle_timeout is not None and now - self._renewed_at >= self.idle_timeout / _RENEWALS_PER_TIMEOUT:
            self._renewed_at = now
            scope = self.transport.idle_scope
            # Without a deadline it has a request of the SDK's under way, and no end to be put off.
            if scope is not None and scope.deadline != math.inf:
                scope.deadline = now + self.idle_timeout

    def is_ghost(self, now: float) -> bool:
        """Whether its client may be gone: nothing open, no recent use."""
        return self.open_requests == 0 and now - self.used_at >= LIVE_SECONDS

    def open_stream(self) -> EventStream:
        """Return the stream of a request, which may be resumed."""
        return self.store.open_stream()
