"""Exponential back-off."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

_MAX_DOUBLINGS = 64
"""More doublings would overflow a float in the end."""


@dataclass(slots=True)
class Backoff:
    """Delays in seconds, each twice as long as the one before.

    They grow from `first` to `maximum`. Each is multiplied by a random number from the range `jitter`, so that clients
    that failed together do not retry together. `attempts` is the number of delays so far.
    """

    first: float
    maximum: float = float("inf")
    jitter: tuple[float, float] = (1.0, 1.0)
    attempts: int = field(default=0, init=False)

    def next_delay(self) -> float:
        """Return the next delay."""
        delay = min(self.first * 2.0 ** min(self.attempts, _MAX_DOUBLINGS), self.maximum)
        self.attempts += 1
        return delay * random.uniform(*self.jitter)  # noqa: S311  # jitter, not a secret

    def reset(self) -> None:
        """Start again with the first delay."""
        self.attempts = 0
