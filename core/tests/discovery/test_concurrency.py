"""Pacing: a few at a time, unless one takes long."""

from __future__ import annotations

import anyio

from mcp_gateway.discovery import concurrency as module
from mcp_gateway.discovery.concurrency import AT_A_TIME, ConcurrencyLimit

from ..support.fake_servers import until


async def test_so_many_go_at_a_time_and_the_next_when_one_is_done():
    going, may_end = [], anyio.Event()

    async def go(number):
        async with pace.slot():
            going.append(number)
            await may_end.wait()

    async with anyio.create_task_group() as tasks:
        pace = ConcurrencyLimit(tasks)
        for number in range(AT_A_TIME + 1):
            tasks.start_soon(go, number)
        await anyio.wait_all_tasks_blocked()
        assert len(going) == AT_A_TIME
        may_end.set()
        await until(lambda: len(going) == AT_A_TIME + 1)


async def test_who_takes_long_holds_nobody_up(monkeypatch):
    monkeypatch.setattr(module, "LONG_SECONDS", 0.01)
    going = []

    async def hang(number):
        async with pace.slot():
            going.append(number)
            await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        pace = ConcurrencyLimit(tasks)
        for number in range(3 * AT_A_TIME):
            tasks.start_soon(hang, number)
        await until(lambda: len(going) == 3 * AT_A_TIME)
        tasks.cancel_scope.cancel()


async def test_a_place_is_given_back_once():
    async with anyio.create_task_group() as tasks:
        pace = ConcurrencyLimit(tasks)
        for _ in range(3 * AT_A_TIME):
            async with pace.slot():
                pass
        await until(lambda: pace._free.value == AT_A_TIME)
