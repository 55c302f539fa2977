"""Inactivity timeout with an upper limit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio


@dataclass(slots=True)
class InactivityTimeout:
    """Timeout after `seconds` of inactivity or `max_total` in all.

    Time in which the server waits for the client's answer to a server request does not count.
    """

    seconds: float
    max_total: float = math.inf
    _scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    _end: float = math.inf
    _suspensions: int = 0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Run the block with the timeout; cancel it silently on expiry."""
        self._end = anyio.current_time() + self.max_total
        with self._scope:
            self.reset()
            yield

    @property
    def is_exhausted(self) -> bool:
        """Whether the total limit is reached, regardless of activity."""
        return anyio.current_time() >= self._end

    def reset(self) -> None:
        """Restart the inactivity timeout after a sign of activity."""
        if not self._suspensions:
            self._scope.deadline = min(anyio.current_time() + self.seconds, self._end)

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Pause the timeout during the block."""
        self._suspensions += 1
        self._scope.deadline = math.inf
        began = anyio.current_time()
        try:
            yield
        finally:
            self._suspensions -= 1
            if not self._suspensions:
                # The total limit is for the server's work and excludes the time a person took to answer.
                self._end += anyio.current_time() - began
            self.reset()
