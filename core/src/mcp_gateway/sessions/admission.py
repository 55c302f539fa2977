"""Admission control: limits on concurrent requests, with queues.

The limits are per server and in all; a request beyond them waits in a queue or is rejected.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import anyio

from mcp_gateway.plugin import ServerUnavailable


class Overloaded(ServerUnavailable):
    """An overload; the request was not sent and may be retried."""

    code = "overloaded"
    retry_after = 1.0


def share_of(limit: int) -> int:
    """Return how much of a limit one caller may use.

    It is three quarters, and all of a small limit.
    """
    return limit - limit // 4


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits: concurrent requests, queue length per server, and queue timeout.

    The timeout is in seconds.
    """

    calls: int = 1000
    queue: int = 500
    wait: float = 10.0
    share_of_calls: int = field(init=False)
    """How many of the concurrent requests may be those of one caller."""

    def __post_init__(self) -> None:
        """Compute the share."""
        object.__setattr__(self, "share_of_calls", share_of(self.calls))


@dataclass(slots=True, eq=False)
class _QueuedRequest:
    """A queued request; `turn` is set when it is admitted."""

    max_calls: int
    turn: anyio.Event = field(default_factory=anyio.Event)


@dataclass(slots=True)
class AdmissionControl:
    """Admission control that counts concurrent requests and queues the others.

    A slot that becomes free goes to the request that has waited longest for its server; servers take turns, and so do
    the callers of a server. If it `is_fair`, no caller may use more than its share of a limit, so that the calls of
    one, hung or abandoned, leave room for those of the others.
    """

    limits: Limits = field(default_factory=Limits)
    is_fair: bool = False
    admitted: int = 0
    """How many requests have been admitted so far."""
    failed: int = 0
    """How many calls of tools have failed, or returned an error."""
    _all: int = 0
    _busy: dict[str, int] = field(default_factory=dict)
    _callers: dict[str, dict[str, int]] = field(default_factory=dict)
    """Concurrent requests by server and caller, if it is fair."""
    _queues: dict[str, dict[str, deque[_QueuedRequest]]] = field(default_factory=dict)

    def enter(self, server: str, max_calls: int, caller: str = "") -> bool:
        """Admit a request if below the limits; return success.

        `max_calls` is the maximum number of concurrent requests to this server.
        """
        busy = self._busy.get(server, 0)
        if busy >= max_calls or self._all >= self.limits.calls:
            return False
        if self.is_fair:
            callers = self._callers.setdefault(server, {})
            of_caller = callers.get(caller, 0)
            if of_caller >= share_of(max_calls):
                return False
            if self._all >= self.limits.share_of_calls and not self._has_share_of_all(caller):
                return False
            callers[caller] = of_caller + 1
        self._busy[server] = busy + 1
        self._all += 1
        self.admitted += 1
        return True

    @property
    def running(self) -> int:
        """The number of concurrent requests."""
        return self._all

    def count_pending(self) -> int:
        """Return the number of concurrent and queued requests."""
        return self._all + sum(len(queue) for queues in self._queues.values() for queue in queues.values())

    def leave(self, server: str, caller: str = "") -> None:
        """Release a request's slot."""
        self._all -= 1
        left = self._busy[server] - 1
        if left:
            self._busy[server] = left
        else:
            del self._busy[server]
        if self.is_fair:
            callers = self._callers[server]
            callers[caller] -= 1
            if not callers[caller]:
                del callers[caller]
        if self._queues:
            self._admit()

    async def wait_turn(self, server: str, max_calls: int, caller: str = "") -> None:
        """Wait in the queue until the request is admitted.

        Each server has one, with a part for each caller.

        Raises:
            Overloaded: the queue is full, or the queue timeout expired.

        """
        self._check_queue(server, max_calls, caller)
        waiting = _QueuedRequest(max_calls)
        self._queues.setdefault(server, {}).setdefault(caller, deque()).append(waiting)
        try:
            with anyio.move_on_after(self.limits.wait):
                await waiting.turn.wait()
        except BaseException:
            # Cancelled after it was admitted: its slot must be released here, or it is lost for ever.
            if waiting.turn.is_set():
                self.leave(server, caller)
            raise
        finally:
            if not waiting.turn.is_set():
                self._give_up(server, caller, waiting)
        if not waiting.turn.is_set():
            waited = f"it waited {self.limits.wait:g} s for its turn (GATEWAY_QUEUE_TIMEOUT)"
            raise Overloaded(f"{self._full(server, max_calls)}, and {waited}; try again soon")

    def _has_share_of_all(self, caller: str) -> bool:
        """Whether a caller has less than its share of all concurrent requests."""
        return sum(callers.get(caller, 0) for callers in self._callers.values()) < self.limits.share_of_calls

    def _check_queue(self, server: str, max_calls: int, caller: str) -> None:
        """Raise `Overloaded` if the queue is full.

        The caller's share of it counts, too.
        """
        queues, limit = self._queues.get(server, {}), self.limits.queue
        queued = sum(map(len, queues.values()))
        of_caller = len(queues.get(caller, ()))
        if queued >= limit or (self.is_fair and of_caller >= share_of(limit)):
            raise Overloaded(f"{self._full(server, max_calls)}, and {queued} wait (GATEWAY_MAX_QUEUE); try again soon")

    def _admit(self) -> None:
        """Give a free slot to a queued request.

        Servers take turns, and the callers of each.
        """
        for server, queues in list(self._queues.items()):
            for caller, queue in list(queues.items()):
                if self.enter(server, queue[0].max_calls, caller):
                    queue.popleft().turn.set()
                    # Both go to the end of their rotation.
                    del queues[caller], self._queues[server]
                    if queue:
                        queues[caller] = queue
                    if queues:
                        self._queues[server] = queues
                    return

    def _give_up(self, server: str, caller: str, waiting: _QueuedRequest) -> None:
        queues = self._queues[server]
        queues[caller].remove(waiting)
        if not queues[caller]:
            del queues[caller]
        if not queues:
            del self._queues[server]

    def _full(self, server: str, max_calls: int) -> str:
        busy = self._busy.get(server, 0)
        if busy >= max_calls:
            setting = "GATEWAY_MAX_CALLS_PER_SERVER, or its max_calls"
            return f"server {server!r} is busy: {busy} of {max_calls} calls are under way ({setting})"
        if self._all >= self.limits.calls:
            return f"the gateway is busy: {self._all} of {self.limits.calls} calls are under way (GATEWAY_MAX_CALLS)"
        return f"your calls have their share of server {server!r}: {share_of(max_calls)} of {max_calls} at a time"
