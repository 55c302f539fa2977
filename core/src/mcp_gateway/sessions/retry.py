"""Retry policy that never executes a request twice."""

from __future__ import annotations

import time

from msgspec import Struct, field

from mcp_gateway.client.errors import AskedToWait, SessionLost
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.plugin import ConnectionDropped, GatewayError, RequestNotSent
from mcp_gateway.runtime.backoff import Backoff

FIRST_PAUSE = 0.25
RETRY_SECONDS = 30.0
"""How long after its beginning a request may be sent again: clients wait for a minute, most of them."""


def retry_backoff() -> Backoff:
    """Return the back-off between the attempts to send one request."""
    return Backoff(FIRST_PAUSE, jitter=(0.8, 1.2))


class RetryPolicy(Struct, eq=False):
    """Retry policy and attempts of one request.

    `repeatable` requests may be sent again when it is unknown whether they were executed. They begin now.

    This is the only place that decides about retries; the rules are the table in core/docs/sent-again.md.
    """

    spec: ServerSpec
    repeatable: bool = False
    began: float = field(default_factory=time.monotonic)
    _unsent: Backoff | None = None
    _waited: Backoff | None = None
    _repeated: bool = False
    _renewed: bool = False

    def next_delay(self, failure: GatewayError) -> float | None:
        """Return the delay in seconds before a retry, or None for none.

        * Not sent: up to `max_retries` times within `RETRY_SECONDS`, and the time of a call.
        * The server asked to wait: the same, if the request is repeatable.
        * Session lost: once, in a new session, if it was certainly not executed or is repeatable.
        * Connection dropped, so that the outcome is unknown: once, if it is repeatable.
        """
        if isinstance(failure, RequestNotSent):
            self._unsent = self._unsent or retry_backoff()
            return self._within(self._unsent.next_delay(), self._unsent.attempts)
        if isinstance(failure, AskedToWait):
            self._waited = self._waited or retry_backoff()
            pause = max(failure.seconds, self._waited.next_delay())
            return self._within(pause, self._waited.attempts) if self.repeatable else None
        if self._repeated or not self._is_for_once(failure):
            return None
        self._repeated = True
        return 0.0

    def may_renew(self) -> bool:
        """Whether new credentials may be tried; True only once."""
        renewed, self._renewed = self._renewed, True
        return not renewed

    def _is_for_once(self, failure: GatewayError) -> bool:
        if isinstance(failure, SessionLost):
            return failure.is_certain or self.repeatable
        return isinstance(failure, ConnectionDropped) and self.repeatable and self.spec.max_retries > 0

    def _within(self, pause: float, times: int) -> float | None:
        left = self.began + min(RETRY_SECONDS, self.spec.time_limits.call.seconds) - time.monotonic()
        return pause if times <= self.spec.max_retries and pause < left else None
