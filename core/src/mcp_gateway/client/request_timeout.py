"""Inactivity timeout with an upper limit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio


@dataclass(slots=True)
class InactivityTimeout:
    """Timeout after `seconds` of inactivity or `max_total` in total.

    Time in which the server itself waits for the client does not count.
    """

    seconds: float
    max_total: float = math.inf
    _scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    _end: float = math.inf
    _suspensions: int = 0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait inside; leave quietly when it took too long."""
        self._end = anyio.current_time() + self.max_total
        with self._scope:
            self.reset()
            yield

    @property
    def is_exhausted(self) -> bool:
        """Whether the total limit is reached, regardless of activity."""
        return anyio.current_time() >= self._end

    def reset(self) -> None:
        """Take note of a sign of life: the wait begins anew."""
        if not self._suspensions:
            self._scope.deadline = min(anyio.current_time() + self.seconds, self._end)

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Hold the clock while the server is waiting for us."""
        self._suspensions += 1
        self._scope.deadline = math.inf
        began = anyio.current_time()
        try:
            yield
        finally:
            self._suspensions -= 1
            if not self._suspensions:
                # The total limit is about the server's work, not about what a person took to answer.
                self._end += anyio.current_time() - began
            self.reset()
