"""Admission control: limits on concurrent requests, with queues.

The limits are per server and in all; a request beyond them waits in a queue or is rejected.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from mcp_gateway.plugin import ServerUnavailable


class Overloaded(ServerUnavailable):
    """An overload; the request was not sent and may be retried."""

    code = "overloaded"
    retry_after = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits: concurrent requests, queue length per server, and queue timeout.

    The timeout is in seconds.
    """

    calls: int = 1000
    queue: int = 500
    wait: float = 10.0


@dataclass(slots=True, eq=False)
class _QueuedRequest:
    """A queued request; `turn` is set when it is admitted."""

    max_calls: int
    turn: anyio.Event = field(default_factory=anyio.Event)


@dataclass(slots=True)
class AdmissionControl:
    """Admission control that counts concurrent requests and queues the others.

    A slot that becomes free goes to the request that has waited longest for its server; servers take turns.
    """

    limits: Limits = field(default_factory=Limits)
    _all: int = 0
    _busy: dict[str, int] = field(default_factory=dict)
    _queues: dict[str, deque[_QueuedRequest]] = field(default_factory=dict)

    def enter(self, server: str, max_calls: int) -> bool:
        """Admit a request if below the limits; return success.

        `max_calls` is the maximum number of concurrent requests to this server.
        """
        busy = self._busy.get(server, 0)
        if busy >= max_calls or self._all >= self.limits.calls:
            return False
        self._busy[server] = busy + 1
        self._all += 1
        return True

    def count_pending(self) -> int:
        """Return the number of concurrent and queued requests."""
        return self._all + sum(map(len, self._queues.values()))

    def leave(self, server: str) -> None:
        """Release a request's slot."""
        self._all -= 1
        left = self._busy[server] - 1
        if left:
            self._busy[server] = left
        else:
            del self._busy[server]
        if self._queues:
            self._admit()

    async def wait_turn(self, server: str, max_calls: int) -> None:
        """Wait in the server's queue until the request is admitted.

        Raises:
            Overloaded: the queue is full, or the queue timeout expired.

        """
        queue = self._queues.get(server, ())
        if len(queue) >= self.limits.queue:
            raise Overloaded(
                f"{self._full(server, max_calls)}, and {len(queue)} wait (GATEWAY_MAX_QUEUE); try again soon"
            )
        waiting = _QueuedRequest(max_calls)
        self._queues.setdefault(server, deque()).append(waiting)
        try:
            with anyio.move_on_after(self.limits.wait):
                await waiting.turn.wait()
        except BaseException:
            # Cancelled after it was admitted: its slot must be released here, or it is lost for ever.
            if waiting.turn.is_set():
                self.leave(server)
            raise
        finally:
            if not waiting.turn.is_set():
                self._give_up(server, waiting)
        if not waiting.turn.is_set():
            waited = f"it waited {self.limits.wait:g} s for its turn (GATEWAY_QUEUE_TIMEOUT)"
            raise Overloaded(f"{self._full(server, max_calls)}, and {waited}; try again soon")

    @asynccontextmanager
    async def slot(self, server: str, max_calls: int) -> AsyncIterator[None]:
        """Hold a slot for a request during the block, queueing first."""
        if not self.enter(server, max_calls):
            await self.wait_turn(server, max_calls)
        try:
            yield
        finally:
            self.leave(server)

    def _admit(self) -> None:
        """Give free slots to queued requests; servers take turns."""
        for server, queue in list(self._queues.items()):
            if self.enter(server, queue[0].max_calls):
                queue.popleft().turn.set()
                del self._queues[server]
                if queue:
                    self._queues[server] = queue  # to the end of the rotation
                return

    def _give_up(self, server: str, waiting: _QueuedRequest) -> None:
        queue = self._queues[server]
        queue.remove(waiting)
        if not queue:
            del self._queues[server]

    def _full(self, server: str, max_calls: int) -> str:
        busy = self._busy.get(server, 0)
        if busy >= max_calls:
            setting = "GATEWAY_MAX_CALLS_PER_SERVER, or its max_calls"
            return f"server {server!r} is busy: {busy} of {max_calls} calls are under way ({setting})"
        return f"the gateway is busy: {self._all} of {self.limits.calls} calls are under way (GATEWAY_MAX_CALLS)"
