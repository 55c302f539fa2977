"""Back-pressure on servers that send more than their clients read.

Such a server is not read for a moment, and what it sends after that is not passed on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from mcp_gateway.protocol.client_channel import ClientChannel

log = structlog.get_logger(__name__)

WAIT_SECONDS = 2.0
"""How long a server is not read; then what its clients do not take is dropped, for its answers must come through."""

# Channels tell whether their buffer is full, but not when that changes.
_LOOK_SECONDS = 0.02


@dataclass(slots=True)
class Backpressure:
    """Decides whether a message for a client is delivered, and pauses the server that sent it.

    `set_paused` stops reading from the server, or goes on.
    """

    set_paused: Callable[[bool], None] = lambda _: None
    dropped: int = 0
    _is_paused: bool = False
    _gave_up: bool = False
    _congested: list[ClientChannel] = field(default_factory=list)
    _until: float = 0.0

    def admits(self, channel: ClientChannel) -> bool:
        """Whether a message may be written to `channel`; if it is congested, the server is paused first."""
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
            loop.call_later(_LOOK_SECONDS, self._look)
        if channel not in self._congested:
            self._congested.append(channel)
        return True

    def _look(self) -> None:
        """Read on once all keep up, or once they have had their time."""
        loop = asyncio.get_running_loop()
        self._congested = [channel for channel in self._congested if channel.is_congested()]
        if self._gave_up:
            self._gave_up = bool(self._congested)
        elif not self._congested or loop.time() >= self._until:
            self._gave_up, self._is_paused = bool(self._congested), False
            self.set_paused(False)
        if self._is_paused or self._gave_up:
            loop.call_later(_LOOK_SECONDS, self._look)

    def _drop(self) -> None:
        self.dropped += 1
        # At powers of two only: what floods the session must not flood the log.
        if self.dropped & (self.dropped - 1) == 0:
            log.warning("notifications dropped", reason="their clients do not read", messages=self.dropped)
