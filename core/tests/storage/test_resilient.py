"""A storage that does not answer is waited for once, shortly, and then left alone for a while."""

from __future__ import annotations

import anyio
import pytest
import structlog

from mcp_gateway.plugin import StorageError
from mcp_gateway.storage import resilient as module
from mcp_gateway.storage.resilient import ResilientStorage

from ..support.fake_plugins import MemoryStorage


class Frozen(MemoryStorage):
    """A storage that takes every request and answers none, until it is thawed."""

    def __init__(self):
        super().__init__()
        self.frozen, self.tried = True, 0

    async def get(self, key):
        self.tried += 1
        if self.frozen:
            await anyio.sleep_forever()
        return await super().get(key)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.05)
    monkeypatch.setattr(module, "SLOW_SECONDS", 0.01)


async def ask(resilient, storage):
    return await resilient.call_or_default(lambda: storage.get("x"), None)


async def test_a_storage_that_has_not_answered_yet_is_given_less_time_than_one_that_has(monkeypatch, impatient):
    monkeypatch.setattr(module, "STORAGE_SECONDS", 0.3)
    storage = Frozen()
    resilient = ResilientStorage(storage)
    with structlog.testing.capture_logs() as logs:
        await ask(resilient, storage)
        resilient.record_success()
        await ask(resilient, storage)
    reasons = [entry["reason"] for entry in logs if entry["log_level"] == "warning"]
    assert reasons == ["no answer within 0.05 s", "no answer within 0.3 s"]


async def test_all_who_wait_for_it_wait_once_and_nobody_after_them(impatient):
    storage = Frozen()
    resilient = ResilientStorage(storage)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for _ in range(200):
                tasks.start_soon(ask, resilient, storage)
        for _ in range(200):
            await ask(resilient, storage)
    assert storage.tried <= module.AT_A_TIME


async def test_it_is_left_alone_for_longer_each_time_and_that_ends_when_it_works(monkeypatch, impatient):
    monkeypatch.setattr(module, "LONGEST_REST", 20.0)
    storage, rests = Frozen(), []
    resilient = ResilientStorage(storage)
    for _ in range(4):
        await ask(resilient, storage)
        rests.append(round(resilient._rests_until - anyio.current_time()))
        resilient._rests_until = 0.0
    assert rests == [5, 10, 20, 20]
    storage.frozen = False
    await ask(resilient, storage)
    storage.frozen = True
    resilient._proven = False
    await ask(resilient, storage)
    assert round(resilient._rests_until - anyio.current_time()) == 5


async def test_a_question_without_an_answer_gets_the_reason(impatient):
    storage = Frozen()
    resilient = ResilientStorage(storage)
    for said in ("no answer within 0.05 s", "it did not answer a moment ago"):
        with pytest.raises(StorageError, match=said):
            await resilient.call(lambda: storage.get("x"))
    assert storage.tried == 1
