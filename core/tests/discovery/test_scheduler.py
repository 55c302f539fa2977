"""The scheduler of refreshes: by server and credentials, one at a time, again if there is a reason."""

from __future__ import annotations

import anyio
import pytest

from mcp_gateway.discovery.scheduler import Job, Reason, RefreshScheduler

from ..support.fake_servers import until

ALL, ANNA, BOB = ("alpha", None), ("alpha", b"anna"), ("alpha", b"bob")


class Work:
    """A job that notes its reasons, and ends when it may."""

    def __init__(self):
        self.started, self.reasons = [], []
        self.current, self.may_end = True, anyio.Event()

    @property
    def job(self):
        return Job(lambda: self.current, self.refresh, self.started.append)

    async def refresh(self, reason, _):
        self.reasons.append(reason)
        await self.may_end.wait()


@pytest.fixture
async def scheduler(monkeypatch):
    monkeypatch.setattr("mcp_gateway.catalog.server_health.QUIET_SECONDS", 0.001)
    async with anyio.create_task_group() as tasks:
        yield RefreshScheduler(tasks)
        tasks.cancel_scope.cancel()


async def test_reasons_that_come_before_it_begins_are_served_at_once_by_the_highest(scheduler):
    work = Work()
    work.may_end.set()
    run = scheduler.schedule(ALL, work.job, Reason.NEWS)
    assert scheduler.schedule(ALL, work.job, Reason.CHANGED, Reason.DUE) is run
    await run.done.wait()
    assert work.started == work.reasons == [Reason.CHANGED]


async def test_reasons_that_come_while_it_runs_begin_it_once_again(scheduler):
    work = Work()
    run = scheduler.schedule(ALL, work.job, Reason.DUE)
    await until(lambda: work.reasons)
    for reason in (Reason.CHANGED, Reason.NEWS, Reason.CHANGED):
        assert scheduler.schedule(ALL, work.job, reason) is run
    work.may_end.set()
    await run.done.wait()
    assert work.reasons == [Reason.DUE, Reason.CHANGED]
    assert not scheduler.is_running(ALL)


async def test_what_everyone_sees_and_what_each_caller_sees_do_not_wait_for_each_other(scheduler):
    works = {key: Work() for key in (ALL, ANNA, BOB)}
    runs = {key: scheduler.schedule(key, work.job, Reason.DUE) for key, work in works.items()}
    await until(lambda: all(work.reasons for work in works.values()))
    assert list(scheduler.shared_runs()) == [runs[ALL]]
    works[ALL].may_end.set()
    works[ANNA].may_end.set()
    await until(lambda: not scheduler.is_running(ALL) and not scheduler.is_running(ANNA))
    assert (list(scheduler.shared_runs()), scheduler.has_runs(private=True)) == ([], True)
    works[BOB].may_end.set()
    await until(lambda: not scheduler.has_runs(private=True))


async def test_a_job_of_a_server_that_was_changed_meanwhile_is_not_begun_again(scheduler):
    before, after = Work(), Work()
    old = scheduler.schedule(ALL, before.job, Reason.DUE)
    await until(lambda: before.reasons)
    before.current = False
    scheduler.forget(ALL)
    new = scheduler.schedule(ALL, after.job, Reason.DUE)
    await until(lambda: after.reasons)
    old.reasons.add(Reason.DUE)
    before.may_end.set()
    await old.done.wait()
    assert (before.reasons, scheduler.current(ALL)) == ([Reason.DUE], new), "the end of the old one ends no other"
    after.may_end.set()
    await new.done.wait()
    assert scheduler.current(ALL) is None


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that stands, and is set by hand."""
    times = [1000.0]
    monkeypatch.setattr("anyio.current_time", lambda: times[-1])
    return times


async def test_a_failure_pauses_its_own_key_longer_each_time_until_a_success(scheduler, clock):
    pauses = []
    for _ in range(3):
        pauses.append(scheduler.on_failure(ANNA))
        clock.append(clock[-1] + pauses[-1])
    assert pauses == [5.0, 10.0, 20.0]
    assert scheduler.on_failure(ANNA) == 40.0
    assert [scheduler.is_paused(key) for key in (ALL, ANNA, BOB)] == [False, True, False]
    assert scheduler.on_failure(ANNA, grows=False) == 5.0
    scheduler.on_success(ANNA)
    assert not scheduler.is_paused(ANNA)
    assert scheduler.on_failure(ANNA) == 5.0


async def test_an_attempt_that_was_asked_for_lengthens_no_pause(scheduler, clock):
    assert scheduler.on_failure(ANNA) == 5.0
    clock.append(clock[-1] + 2.0)
    assert [scheduler.on_failure(ANNA) for _ in range(3)] == [3.0, 3.0, 3.0]
    clock.append(clock[-1] + 3.0)
    assert not scheduler.is_paused(ANNA)
    assert scheduler.on_failure(ANNA) == 10.0
