"""Repeating: whether a request that failed is sent again, which must never carry it out twice by our doing."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import anyio

from mcp_gateway.config.servers import ServerSpec
from mcp_gateway.plugin import ConnectionDropped, NotSent, ServerUnavailable
from mcp_gateway.sessions.failures import SessionLost

FIRST_PAUSE = 0.25


def jittered(attempt: int, first: float = FIRST_PAUSE) -> float:
    """Return how long to wait after an attempt: twice as long as after the one before, and never quite the same."""
    return float(first * 2**attempt * random.uniform(0.8, 1.2))  # noqa: S311  # jitter, not a secret


@dataclass(slots=True)
class Repetition:
    """How often one request has been sent, and why."""

    spec: ServerSpec
    repeatable: bool
    _began: float = field(default_factory=anyio.current_time)
    _unsent: int = 0
    _repeated: bool = False

    def pause(self, failure: ServerUnavailable) -> float | None:
        """Return how many seconds to wait before the request is sent again; None if it must not be.

        One that did not reach the server is sent again as often as `max_retries` says, within the `timeout`; one
        whose session was lost, once, in a new one; and so is one that nobody knows to have been carried out, if
        it may be repeated.
        """
        if isinstance(failure, NotSent):
            pause = jittered(self._unsent)
            self._unsent += 1
            left = self._began + self.spec.timeout - anyio.current_time()
            return pause if self._unsent <= self.spec.max_retries and pause < left else None
        again = isinstance(failure, SessionLost) or (
            isinstance(failure, ConnectionDropped) and self.repeatable and self.spec.max_retries > 0
        )
        if self._repeated or not again:
            return None
        self._repeated = True
        return 0.0
