"""The deadline of one connection: what is due, and when."""

from __future__ import annotations

import math
from enum import Enum, auto

from mcp_gateway_transport_http.http1.connection_bounds import MIN_BODY_BYTES_PER_SECOND, ConnectionBounds


class Awaited(Enum):
    """What a client has to send."""

    NOTHING = auto()
    REQUEST = auto()
    HEAD = auto()
    BODY = auto()


class ConnectionDeadline:
    """A time that is looked at periodically: it costs no timer."""

    __slots__ = ("_awaited", "_bounds", "_since", "at")

    def __init__(self, bounds: ConnectionBounds) -> None:
        """Begin with none."""
        self._bounds = bounds
        self._since, self.at = 0.0, math.inf
        self._awaited = Awaited.NOTHING

    def clear(self) -> None:
        """Wait without end: the client has sent what it had to."""
        self.at, self._awaited = math.inf, Awaited.NOTHING

    def await_request(self, now: float, *, has_begun: bool = False) -> None:
        """Wait for a request, or for the rest of its head.

        Empty lines between requests are dropped. They do not begin the wait anew.
        """
        is_head = has_begun or self._awaited is Awaited.HEAD
        self._begin(Awaited.HEAD if is_head else Awaited.REQUEST, now)

    def await_body(self, now: float) -> None:
        """Wait for a body."""
        self._begin(Awaited.BODY, now)

    def renew_body(self, now: float, received: int) -> None:
        """Extend the deadline of a body that comes fast enough.

        A few bytes now and then are not.
        """
        self._begin(Awaited.BODY, now)
        # A body may pause, but not for longer than its average speed has earned.
        slowest = self._since + received / MIN_BODY_BYTES_PER_SECOND
        self.at = min(now, slowest) + self._bounds.body_timeout

    def _begin(self, awaited: Awaited, now: float) -> None:
        if self._awaited is not awaited:
            self._awaited, self._since = awaited, now
            self.at = now + self._timeout_of(awaited)

    def _timeout_of(self, awaited: Awaited) -> float:
        if awaited is Awaited.REQUEST:
            return self._bounds.idle_timeout
        return self._bounds.head_timeout if awaited is Awaited.HEAD else self._bounds.body_timeout
