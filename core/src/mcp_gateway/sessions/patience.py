"""Patience: how long a borrower waits for a server that shows no sign of life."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio


@dataclass(slots=True)
class Patience:
    """Ends the wait after `seconds` of silence; not while the server itself waits for the client."""

    seconds: float
    _scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    _suspensions: int = 0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait inside; leave quietly when it took too long."""
        with self._scope:
            self.touch()
            yield

    def touch(self) -> None:
        """Take note of a sign of life: the wait begins anew."""
        if not self._suspensions:
            self._scope.deadline = anyio.current_time() + self.seconds

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Hold the clock while the server is waiting for us."""
        self._suspensions += 1
        self._scope.deadline = math.inf
        try:
            yield
        finally:
            self._suspensions -= 1
            self.touch()
