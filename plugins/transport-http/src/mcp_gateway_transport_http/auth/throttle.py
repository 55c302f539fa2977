"""Throttle of wrong tokens: the delay of refusals grows per address.

Only refusals are delayed, and only a few at a time, because each holds a connection. Requests with the right token are
never delayed, whatever else comes from the same address.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field

from cachetools import LRUCache

from mcp_gateway_transport_http.network import network_of

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5
"""The delay of an address's first refusal, and the maximum of later ones, in seconds."""

FORGET_SECONDS = 600.0
"""After how long without a wrong token an address is forgotten."""

MAX_ADDRESSES = 10_000
"""How many addresses are remembered; the least recently seen is evicted first."""

MAX_WAITING, MAX_WAITING_OF_ADDRESS = 64, 8
"""How many refusals may be delayed at a time, in all and per address; others are sent at once, and disconnected."""

LOG_INTERVAL = 60.0
"""How often wrong tokens are logged, in seconds."""


@dataclass(slots=True)
class Throttle:
    """Counter of wrong tokens by address, which delays refusals."""

    _addresses: LRUCache[str, tuple[int, float]] = field(default_factory=lambda: LRUCache(MAX_ADDRESSES))
    _waiting: Counter[str] = field(default_factory=Counter)
    _unlogged: int = 0
    _last: str = ""
    _timer: asyncio.TimerHandle | None = None

    async def delay_refusal(self, host: str) -> bool:
        """Wait before the refusal of a wrong token from `host`.

        Returns False at once if too many refusals are waiting already.
        """
        address = network_of(host)
        pause = self.count(address, asyncio.get_running_loop().time())
        self._note(host)
        if self._waiting.total() >= MAX_WAITING or self._waiting[address] >= MAX_WAITING_OF_ADDRESS:
            return False
        self._waiting[address] += 1
        try:
            await asyncio.sleep(pause)
        finally:
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address]
        return True

    def count(self, address: str, now: float) -> float:
        """Count a wrong token of an address; return its delay in seconds."""
        wrong, last = self._addresses.get(address, (0, now))
        wrong = wrong + 1 if now - last < FORGET_SECONDS else 1
        self._addresses[address] = (wrong, now)
        # The exponent is bounded, because a float overflows at 2 ** 1024.
        return min(FIRST_PAUSE * 2.0 ** min(wrong - 1, 30), LONGEST_PAUSE)

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._addresses)

    def _note(self, host: str) -> None:
        """Log the first wrong token at once, later ones each minute."""
        self._unlogged, self._last = self._unlogged + 1, host
        if self._timer is None:
            self._write()

    def _write(self) -> None:
        self._timer = None
        if self._unlogged:
            log.warning("invalid token refused", extra={"requests": self._unlogged, "last_client": self._last})
            self._unlogged = 0
            self._timer = asyncio.get_running_loop().call_later(LOG_INTERVAL, self._write)
