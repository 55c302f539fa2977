"""The deadline of one connection, and what it waits for."""

from __future__ import annotations

import math
from enum import Enum, auto

from mcp_gateway_transport_http.http1.connection_bounds import MIN_BODY_BYTES_PER_SECOND, ConnectionBounds


class Awaited(Enum):
    """What a connection waits for."""

    NOTHING = auto()
    REQUEST = auto()
    HEAD = auto()
    BODY = auto()

    # That of `Enum` is a function in Python, which hashes the name.
    __hash__ = object.__hash__


class ConnectionDeadline:
    """A deadline that is checked periodically, without a timer."""

    __slots__ = ("_awaited", "_bounds", "_since", "_timeouts", "at")

    def __init__(self, bounds: ConnectionBounds) -> None:
        """Begin without a deadline."""
        self._bounds = bounds
        self._timeouts = {
            Awaited.REQUEST: bounds.idle_timeout,
            Awaited.HEAD: bounds.head_timeout,
            Awaited.BODY: bounds.body_timeout,
        }
        self._since, self.at = 0.0, math.inf
        self._awaited = Awaited.NOTHING

    def clear(self) -> None:
        """Clear the deadline: the request is complete."""
        self.at, self._awaited = math.inf, Awaited.NOTHING

    def await_request(self, now: float, *, has_begun: bool = False) -> None:
        """Wait for a request, or for the rest of its head.

        Empty lines between requests are dropped and do not extend the deadline.
        """
        is_head = has_begun or self._awaited is Awaited.HEAD
        self._begin(Awaited.HEAD if is_head else Awaited.REQUEST, now)

    def await_body(self, now: float) -> None:
        """Wait for a body."""
        self._begin(Awaited.BODY, now)

    def renew_body(self, now: float, received: int) -> None:
        """Extend the deadline of a body that arrives fast enough.

        A trickle of bytes does not extend it.
        """
        self._begin(Awaited.BODY, now)
        # A body may pause, but only as long as its average rate stays above the minimum.
        slowest = self._since + received / MIN_BODY_BYTES_PER_SECOND
        self.at = min(now, slowest) + self._bounds.body_timeout

    def _begin(self, awaited: Awaited, now: float) -> None:
        if self._awaited is not awaited:
            self._awaited, self._since = awaited, now
            self.at = now + self._timeouts[awaited]
