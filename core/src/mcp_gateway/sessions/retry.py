"""Retry policy that never executes a request twice."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio

from mcp_gateway.client.errors import AskedToWait, SessionLost
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.plugin import ConnectionDropped, GatewayError, RequestNotSent
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.runtime.backoff import Backoff

FIRST_PAUSE = 0.25


def retry_backoff() -> Backoff:
    """Return the back-off between the attempts to send one request."""
    return Backoff(FIRST_PAUSE, jitter=(0.8, 1.2))


@dataclass(slots=True)
class RetryPolicy:
    """How often one request has been sent, and why.

    `result` is what came of it if that is only to be followed up.

    This is the only place that decides about it, and it decides by the table in core/docs/sent-again.md.
    """

    spec: ServerSpec
    repeatable: bool
    began: float = field(default_factory=anyio.current_time)
    result: Json | None = None
    _unsent: Backoff | None = None
    _waited: Backoff | None = None
    _repeated: bool = False
    _renewed: bool = False

    def next_delay(self, failure: GatewayError) -> float | None:
        """Return the delay before a retry, or None for no retry.

        The delay is in seconds.

        One that did not reach the server is sent again as often as `max_retries` says, within the `timeout`, and so
        is one that may be repeated when the server asks to wait; one whose session was lost, once, in a new one, if
        it was not carried out for certain or may be repeated; and so is one that may be repeated and that nobody
        knows to have been carried out.
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

    def take_result(self) -> Json | None:
        """Return what has come of the request already, once."""
        result, self.result = self.result, None
        return result

    def may_renew(self) -> bool:
        """Whether it may be sent with other credentials, once."""
        renewed, self._renewed = self._renewed, True
        return not renewed

    def _is_for_once(self, failure: GatewayError) -> bool:
        if isinstance(failure, SessionLost):
            return failure.is_certain or self.repeatable
        return isinstance(failure, ConnectionDropped) and self.repeatable and self.spec.max_retries > 0

    def _within(self, pause: float, times: int) -> float | None:
        left = self.began + self.spec.timeout - anyio.current_time()
        return pause if times <= self.spec.max_retries and pause < left else None
