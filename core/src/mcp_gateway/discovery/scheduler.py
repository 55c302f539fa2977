"""Scheduler of refreshes, for listings of all kinds.

A key is a server and a fingerprint of credentials; the fingerprint of what everyone sees is None.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum

import anyio
from anyio.abc import TaskGroup

from mcp_gateway.catalog.server_health import failure_backoff, quiet_backoff
from mcp_gateway.runtime.backoff import Backoff

RefreshKey = tuple[str, bytes | None]
"""A server, and the fingerprint of credentials."""


class Reason(IntEnum):
    """Why to refresh a listing.

    A refresh for one reason serves all lower ones, too.
    """

    NEWS = 1
    """Another replica has saved a new listing."""

    DUE = 2
    """It is missing or stale, or its server has failed a while ago."""

    CHANGED = 3
    """The server has announced a change."""


@dataclass(slots=True, eq=False)
class Refresh:
    """A refresh in progress, with the reasons to begin it again.

    `began` is on the event loop's clock; `found` is set when there is something to go on with.
    """

    began: float
    reasons: set[Reason] = field(default_factory=set)
    found: anyio.Event = field(default_factory=anyio.Event)
    done: anyio.Event = field(default_factory=anyio.Event)


def _ignore(_: Reason) -> None:
    """Hear of a start that changes nothing."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to do for a key.

    It ends when it is no longer current: its server was removed or changed. `on_start` hears why a refresh
    begins, before the scheduler waits for the server to be quiet.
    """

    is_current: Callable[[], bool]
    refresh: Callable[[Reason, Refresh], Awaitable[None]]
    on_start: Callable[[Reason], None] = _ignore


@dataclass(slots=True)
class _Delay:
    """A delay of a key that grows with each repetition.

    `until` is when it is over, or when the next event no longer counts as a repetition.
    """

    backoff: Backoff
    seconds: float = 0.0
    until: float = 0.0


@dataclass(slots=True)
class RefreshScheduler:
    """Scheduler that runs one refresh of a key at a time.

    It repeats a refresh if a reason comes up meanwhile, waits until a server has ceased to announce changes, and
    leaves a server that has failed alone for a while.
    """

    tasks: TaskGroup
    _runs: dict[RefreshKey, Refresh] = field(default_factory=dict, repr=False)
    _pauses: dict[RefreshKey, _Delay] = field(default_factory=dict, repr=False)
    _quiet: dict[RefreshKey, _Delay] = field(default_factory=dict, repr=False)

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
        """Iterate over the refreshes in progress of what everyone sees."""
        return (run for (_, fingerprint), run in self._runs.items() if fingerprint is None)

    def has_runs(self, *, private: bool) -> bool:
        """Whether refreshes are in progress, for certain credentials or for everyone."""
        return any((fingerprint is not None) is private for _, fingerprint in self._runs)

    def is_running(self, key: RefreshKey) -> bool:
        """Whether a refresh of a key is in progress."""
        return key in self._runs

    def is_paused(self, key: RefreshKey) -> bool:
        """Whether to leave a server alone that has failed."""
        pause = self._pauses.get(key)
        return pause is not None and anyio.current_time() < pause.until

    def on_success(self, key: RefreshKey) -> None:
        """Forget the failures of a key."""
        self._pauses.pop(key, None)

    def on_failure(self, key: RefreshKey, *, grows: bool = True) -> float:
        """Pause a key; return for how many seconds.

        The pause is longer each time if it `grows`.
        """
        pause = self._pauses.setdefault(key, _Delay(failure_backoff()))
        if not grows:
            pause.backoff.reset()
        pause.seconds = pause.backoff.next_delay()
        pause.until = anyio.current_time() + pause.seconds
        return pause.seconds

    def forget(self, key: RefreshKey) -> None:
        """Forget a key: a refresh in progress no longer counts."""
        for of_before in (self._runs, self._pauses, self._quiet):
            of_before.pop(key, None)

    async def wait_quiet(self, key: RefreshKey) -> None:
        """Wait until a server has stopped sending `list_changed`.

        The interval doubles for a server that announces a change whenever it is listed.
        """
        now = anyio.current_time()
        quiet = self._quiet.setdefault(key, _Delay(quiet_backoff()))
        if now >= quiet.until:
            quiet.backoff.reset()
        quiet.seconds = quiet.backoff.next_delay()
        quiet.until = now + quiet.seconds * 4 + 1
        await anyio.sleep(quiet.seconds)

    async def _run(self, key: RefreshKey, run: Refresh, job: Job) -> None:
        """Refresh in the background, until there is no reason any more."""
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
