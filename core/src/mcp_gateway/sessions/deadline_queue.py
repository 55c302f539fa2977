"""Deadline queue for requests with one common timeout.

With one timeout they expire in the order in which they were added, so one timer is enough for all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class DeadlineQueue:
    """Queue that calls back for each request older than `seconds`."""

    seconds: float
    _ends: dict[int, tuple[float, Callable[[], None]]] = field(default_factory=dict)
    _timer: asyncio.TimerHandle | None = None

    def add(self, request_id: int, expired: Callable[[], None], loop: asyncio.AbstractEventLoop, now: float) -> None:
        """Add a request at the loop's time `now`.

        `expired` is called unless the request is removed in time.
        """
        end = now + self.seconds
        self._ends[request_id] = (end, expired)
        if self._timer is None:
            self._timer = loop.call_at(end, self._look)

    def renew(self, request_id: int, now: float) -> None:
        """Begin the time of a request anew, unless it has finished."""
        entry = self._ends.pop(request_id, None)
        if entry is not None:
            self._ends[request_id] = (now + self.seconds, entry[1])

    def remove(self, request_id: int) -> None:
        """Remove a finished request."""
        self._ends.pop(request_id, None)

    def _look(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        while self._ends:
            # The oldest: dicts keep the order in which requests were added.
            request_id, (end, expired) = next(iter(self._ends.items()))
            if end > loop.time():
                self._timer = loop.call_at(end, self._look)
                return
            del self._ends[request_id]
            expired()
