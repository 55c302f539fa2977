"""Back-pressure on servers that send more than their clients read.

Reading from such a server pauses for up to `WAIT_SECONDS`; after that its notifications are dropped, because the
responses behind them must get through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from mcp_gateway.protocol.client_channel import ClientChannel

log = structlog.get_logger(__name__)

WAIT_SECONDS = 2.0
"""How long reading pauses; then notifications that clients do not read are dropped, so that responses get through."""

# Polled, because channels do not announce when their clients have read.
_CHECK_SECONDS = 0.02


@dataclass(slots=True)
class Backpressure:
    """Decides whether to deliver messages, and pauses servers.

    `set_paused` stops reading from the server, or resumes it.
    """

    set_paused: Callable[[bool], None] = lambda _: None
    dropped: int = 0
    _is_paused: bool = False
    _gave_up: bool = False
    congested: list[ClientChannel] = field(default_factory=list)
    _until: float = 0.0
    _timer: asyncio.TimerHandle | None = None

    def admits(self, channel: ClientChannel) -> bool:
        """Whether to deliver a message to `channel`.

        If its client is behind, reading from the server pauses first.
        """
        if not channel.is_congested():
            return True
        if self._gave_up:
            self._drop()
            return False
        if not self._is_paused:
            self._is_paused = True
            loop = asyncio.get_running_loop()
            self._until = loop.time() + WAIT_SECONDS
            self.set_paused(True)
            self._timer = loop.call_later(_CHECK_SECONDS, self._check)
        if channel not in self.congested:
            self.congested.append(channel)
        return True

    def forget(self, channel: ClientChannel) -> None:
        """Stop waiting for the client of a request that is over."""
        if channel in self.congested:
            self.congested.remove(channel)

    def close(self) -> None:
        """Stop waiting for clients: the connection is over."""
        if self._timer is not None:
            self._timer.cancel()
        self.congested.clear()

    def _check(self) -> None:
        """Resume reading once all clients keep up, or after `WAIT_SECONDS`."""
        loop = asyncio.get_running_loop()
        self.congested = [channel for channel in self.congested if channel.is_congested()]
        if self._gave_up:
            self._gave_up = bool(self.congested)
        elif not self.congested or loop.time() >= self._until:
            self._gave_up, self._is_paused = bool(self.congested), False
            self.set_paused(False)
        if self._is_paused or self._gave_up:
            self._timer = loop.call_later(_CHECK_SECONDS, self._check)

    def _drop(self) -> None:
        self.dropped += 1
        # Logged at powers of two only: a server that floods the session must not flood the log.
        if self.dropped & (self.dropped - 1) == 0:
            log.warning("server messages dropped", messages=self.dropped, reason="clients read too slowly")
