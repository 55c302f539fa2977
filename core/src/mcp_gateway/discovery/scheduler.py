"""Scheduler of refreshes, for common listings and those of callers.

A key is a server and a fingerprint of credentials, which is None for the common listing.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import count

import anyio
from anyio.abc import TaskGroup

from mcp_gateway.catalog.server_health import failure_backoff, quiet_backoff
from mcp_gateway.runtime.backoff import Backoff

RefreshKey = tuple[str, bytes | None]
"""A server and the fingerprint of credentials; None for the common listing."""


class Reason(IntEnum):
    """Reason to refresh a listing.

    A refresh for one reason also satisfies all lower ones.
    """

    NEWS = 1
    """Another replica has saved a new listing."""

    DUE = 2
    """The listing is missing or stale, or the back-off of a failed server is over."""

    CHANGED = 3
    """The server has announced a change."""


@dataclass(slots=True, eq=False)
class Refresh:
    """A refresh in progress, with the reasons to begin it again.

    `began` is on the event loop's clock; `found` is set as soon as there is a listing, even a stale one.
    """

    began: float
    reasons: set[Reason] = field(default_factory=set)
    found: anyio.Event = field(default_factory=anyio.Event)
    done: anyio.Event = field(default_factory=anyio.Event)


def _ignore(_: Reason) -> None:
    """Ignore the start of a refresh."""


@dataclass(frozen=True, slots=True)
class Job:
    """A key's refresh function, with its conditions.

    It stops when `is_current` turns False, because the server was removed or changed. `on_start` is called with the
    reason when a refresh begins, before the scheduler waits for change notifications to stop.
    """

    is_current: Callable[[], bool]
    refresh: Callable[[Reason, Refresh], Awaitable[None]]
    on_start: Callable[[Reason], None] = _ignore


@dataclass(slots=True)
class _Delay:
    """A delay of a key that grows with each repetition.

    `until` is the time at which it is over, or after which an event no longer counts as a repetition.
    """

    backoff: Backoff
    seconds: float = 0.0
    until: float = 0.0


@dataclass(slots=True)
class RefreshScheduler:
    """Scheduler that runs one refresh of a key at a time.

    It repeats a refresh if a reason was added meanwhile, waits until a server stops announcing changes, and backs off
    after failures.
    """

    tasks: TaskGroup
    _runs: dict[RefreshKey, Refresh] = field(default_factory=dict, repr=False)
    _pauses: dict[RefreshKey, _Delay] = field(default_factory=dict, repr=False)
    _quiet: dict[RefreshKey, _Delay] = field(default_factory=dict, repr=False)
    _numbers: count[int] = field(default_factory=lambda: count(1), repr=False)
    _newest: dict[RefreshKey, int] = field(default_factory=dict, repr=False)

    def schedule(self, key: RefreshKey, job: Job, *reasons: Reason) -> Refresh:
        """Add reasons to the refresh in progress, or start one."""
        run = self._runs.get(key)
        if run is None:
            self._runs[key] = run = Refresh(anyio.current_time())
            self.tasks.start_soon(self._run, key, run, job)
        run.reasons.update(reasons)
        return run

    def current(self, key: RefreshKey) -> Refresh | None:
        """Return the refresh in progress of a key, if any."""
        return self._runs.get(key)

    def shared_runs(self) -> Iterator[Refresh]:
        """Iterate over the refreshes in progress of common listings."""
        return (run for (_, fingerprint), run in self._runs.items() if fingerprint is None)

    def has_runs(self, *, private: bool) -> bool:
        """Whether refreshes of private, or else of common, listings are running."""
        return any((fingerprint is not None) is private for _, fingerprint in self._runs)

    def is_running(self, key: RefreshKey) -> bool:
        """Whether a refresh of a key is in progress."""
        return key in self._runs

    def is_paused(self, key: RefreshKey) -> bool:
        """Whether the back-off after a failure is not over yet."""
        pause = self._pauses.get(key)
        return pause is not None and anyio.current_time() < pause.until

    def next_number(self) -> int:
        """Return the number of a listing that begins now."""
        return next(self._numbers)

    def supersedes(self, key: RefreshKey, number: int) -> bool:
        """Record a complete listing; False if a later one came first.

        Servers are also listed on request, beside a refresh, and the one that began first may end last.
        """
        if number < self._newest.get(key, 0):
            return False
        self._newest[key] = number
        return True

    def on_success(self, key: RefreshKey) -> None:
        """Forget the failures of a key."""
        self._pauses.pop(key, None)

    def failure_level(self, key: RefreshKey) -> int:
        """Return how a failure that comes now is to be logged.

        One within the back-off is of an attempt that somebody asked for, and tells nothing new.
        """
        return logging.DEBUG if self.is_paused(key) else logging.INFO

    def on_failure(self, key: RefreshKey, *, grows: bool = True) -> float:
        """Start a key's back-off; return in how many seconds it is over.

        It grows with each failure if `grows`. An attempt that somebody asked for meanwhile does not count.
        """
        pause = self._pauses.setdefault(key, _Delay(failure_backoff()))
        if grows and (left := pause.until - anyio.current_time()) > 0:
            return left
        if not grows:
            pause.backoff.reset()
        pause.seconds = pause.backoff.next_delay()
        pause.until = anyio.current_time() + pause.seconds
        return pause.seconds

    def pause(self, key: RefreshKey, seconds: float) -> None:
        """Refresh a key no earlier than in so many seconds."""
        if (run := self._runs.get(key)) is not None:
            run.reasons.clear()
        self._pauses[key] = _Delay(failure_backoff(), seconds, anyio.current_time() + seconds)

    def forget(self, key: RefreshKey) -> None:
        """Forget a key; the result of a refresh in progress is ignored."""
        for of_before in (self._runs, self._pauses, self._quiet, self._newest):
            of_before.pop(key, None)

    async def wait_quiet(self, key: RefreshKey) -> None:
        """Wait until a server has stopped sending `list_changed`.

        The interval doubles for a server that announces a change whenever it is listed, which would loop otherwise.
        """
        now = anyio.current_time()
        quiet = self._quiet.setdefault(key, _Delay(quiet_backoff()))
        if now >= quiet.until:
            quiet.backoff.reset()
        quiet.seconds = quiet.backoff.next_delay()
        quiet.until = now + quiet.seconds * 4 + 1
        await anyio.sleep(quiet.seconds)

    async def _run(self, key: RefreshKey, run: Refresh, job: Job) -> None:
        """Refresh in the background until no reason is left."""
        try:
            while run.reasons and job.is_current():
                reason = max(run.reasons)
                job.on_start(reason)
                if reason is Reason.CHANGED:
                    await self.wait_quiet(key)
                run.reasons.clear()
                await job.refresh(reason, run)
        finally:
            if self._runs.get(key) is run:
                del self._runs[key]
            run.found.set()
            run.done.set()
