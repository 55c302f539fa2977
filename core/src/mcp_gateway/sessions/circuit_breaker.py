"""Circuit breaker: requests to a failing server fail fast.

It opens after several failures in a row; the error says since when the server is down and why.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from mcp_gateway.catalog.server_health import HealthRegistry, ServerState, State, format_time
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.plugin import GatewayError, ServerUnavailable
from mcp_gateway.runtime.events import GatewayEvents
from mcp_gateway.text.hints import TRY_AT_ONCE

MAX_FAILURES = 3
"""How many failures in a row open a server's circuit."""

SPACING_SECONDS = 0.5
"""How long after a failure a trial may pass an open circuit, so that impatient clients do not hammer the server."""


class CircuitOpen(ServerUnavailable):
    """An open circuit: the server was not tried.

    It has failed several times in a row.
    """


@dataclass(slots=True, eq=False)
class CircuitBreaker:
    """Circuit breaker of one server; one answer resets its failures.

    It counts connections that failed and requests that were not answered; an error response is an answer.

    `next_try` is the time of the next attempt, on the event loop's clock. A `retired` breaker belongs to a server that
    is no longer configured, and records nothing.
    """

    spec: ServerSpec = field(repr=False)
    states: HealthRegistry = field(default_factory=HealthRegistry, repr=False)
    events: GatewayEvents = field(default_factory=GatewayEvents, repr=False)
    is_open: bool = False
    retired: bool = False
    failures: int = 0
    next_try: float = -math.inf
    answered_at: float = -math.inf
    answers: anyio.Event = field(default_factory=anyio.Event)
    _reason: str = ""
    _since: float = 0.0
    _failed: float = -math.inf

    @property
    def server(self) -> str:
        """The server's name."""
        return self.spec.name

    def check(self, *, trial: bool = False) -> None:
        """Raise `CircuitOpen` if the circuit is open.

        A `trial` may pass, but not immediately after the last failure.

        Raises:
            CircuitOpen: the server has failed `MAX_FAILURES` times in a row.

        """
        if self.is_open and not (trial and anyio.current_time() >= self._failed + SPACING_SECONDS):
            raise CircuitOpen(self._in_words())

    def record_failure(self, error: GatewayError) -> None:
        """Record that the server was unreachable or closed the connection."""
        if self.retired:
            return
        self.failures += 1
        self._reason, self._failed = str(error), anyio.current_time()
        permanent = isinstance(error, ServerUnavailable) and error.permanent
        opens = not self.is_open and (permanent or self.failures >= MAX_FAILURES)
        if opens:
            self.is_open, self._since = True, time.time()
        self.states.mark_failed(self.server, self._reason, cut_off=self.is_open)
        if self.failures == 1:
            self.answers = anyio.Event()
            self.events.server_failed.emit(self)
        if opens:
            self.events.server_down.emit(self)

    def record_no_answer(self, error: GatewayError) -> None:
        """Record an unanswered request, if it is the first failure.

        Further ones count only when a health probe records them: otherwise one slow tool that is called often would
        cut off the server's other tools.
        """
        if not self.failures:
            self.record_failure(error)

    def record_answer(self) -> None:
        """Record an answer: close the circuit and reset the failures."""
        if self.failures:
            self.failures, self.is_open, self.answered_at = 0, False, anyio.current_time()
            self.states.mark_recovered(self.server)
            self.answers.set()

    def _in_words(self) -> str:
        seconds = self.next_try - anyio.current_time()
        again = f"in {math.ceil(seconds)} s" if seconds > 0 else "right now"
        reason = ServerState(State.DOWN, self._reason).brief(self.server)
        return (
            f"server {self.server!r} is down since {format_time(self._since)}: {reason}; "
            f"it is tried again by itself {again}; {TRY_AT_ONCE.for_models}"
        )


@dataclass(slots=True)
class Breakers:
    """Circuit breakers of all servers.

    A server that is not `is_current` gets a retired one, so that a late result of an old session cannot count.
    """

    states: HealthRegistry = field(default_factory=HealthRegistry, repr=False)
    events: GatewayEvents = field(default_factory=GatewayEvents, repr=False)
    is_current: Callable[[ServerSpec], bool] = field(default=lambda _: True, repr=False)
    _made: dict[ServerSpec, CircuitBreaker] = field(default_factory=dict, repr=False)

    def breaker_of(self, spec: ServerSpec) -> CircuitBreaker:
        """Return a server's circuit breaker; retired if no longer configured."""
        if (breaker := self._made.get(spec)) is not None:
            return breaker
        if not self.is_current(spec):
            return CircuitBreaker(spec, retired=True)
        self._made[spec] = breaker = CircuitBreaker(spec, self.states, self.events)
        return breaker

    def retire(self, spec: ServerSpec) -> None:
        """Retire the breaker of a server that was removed or changed."""
        if (breaker := self._made.pop(spec, None)) is not None:
            breaker.retired = True
