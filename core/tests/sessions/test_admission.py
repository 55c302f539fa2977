"""Too much at once: some wait for their turn, the others hear at once what is full and which setting that is."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from mcp_gateway.discovery.refresher import ANONYMOUS
from mcp_gateway.sessions.admission import AdmissionControl, Limits, Overloaded

from ..support.fake_servers import Remote, text, tool, until
from ..support.gateway import ask, client
from ..support.raw_client import call, dispatch


@asynccontextmanager
async def slot(load, server, max_calls):
    if not load.enter(server, max_calls):
        await load.wait_turn(server, max_calls)
    try:
        yield
    finally:
        load.leave(server)


BUSY = "server 'a' is busy: 1 of 1 calls are under way (GATEWAY_MAX_CALLS_PER_SERVER, or its max_calls), "


async def test_below_the_bounds_nobody_waits():
    load = AdmissionControl(Limits(calls=3))
    assert [load.enter("a", 2), load.enter("a", 2), load.enter("a", 2)] == [True, True, False]
    assert [load.enter("b", 2), load.enter("b", 2)] == [True, False]
    load.leave("a")
    assert load.enter("b", 2)


async def test_those_who_wait_come_in_turn_and_newcomers_do_not_overtake():
    load, came = AdmissionControl(), []

    async def one(number):
        async with slot(load, "a", 1):
            came.append(number)

    assert load.enter("a", 1)
    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(one, number)
        await until(lambda: load.count_pending() == 6)
        load.leave("a")
        assert not load.enter("a", 1)
    assert came == [0, 1, 2, 3, 4]
    assert (load._all, load._busy, load._queues) == (0, {}, {})


async def test_servers_take_turns_for_the_places_that_all_share():
    load, came = AdmissionControl(Limits(calls=1)), []

    async def one(server):
        async with slot(load, server, 9):
            came.append(server)

    assert load.enter("a", 9)
    async with anyio.create_task_group() as tasks:
        for server in "aaabb":
            tasks.start_soon(one, server)
        await until(lambda: load.count_pending() == 6)
        load.leave("a")
    assert came == ["a", "b", "a", "b", "a"]


@pytest.mark.parametrize(
    "limits, said",
    [
        (
            Limits(queue=0),
            BUSY + "and 0 wait (GATEWAY_MAX_QUEUE); try again soon",
        ),
        (
            Limits(wait=0.01),
            BUSY + "and it waited 0.01 s for its turn (GATEWAY_QUEUE_TIMEOUT); try again soon",
        ),
    ],
)
async def test_a_refused_request_gets_the_name_of_what_is_full(limits, said):
    load = AdmissionControl(limits)
    assert load.enter("a", 1)
    with pytest.raises(Overloaded) as refusal:
        await load.wait_turn("a", 1)
    assert str(refusal.value) == said
    assert load._queues == {}


async def test_all_that_is_full_is_named_as_such():
    load = AdmissionControl(Limits(calls=1, queue=0))
    assert load.enter("a", 1)
    with pytest.raises(Overloaded, match=r"the gateway is busy: 1 of 1 calls are under way \(GATEWAY_MAX_CALLS\)"):
        await load.wait_turn("b", 1)


async def test_one_that_gives_up_leaves_the_queue_and_takes_no_place():
    load = AdmissionControl()
    assert load.enter("a", 1)
    with anyio.move_on_after(0.01):
        await load.wait_turn("a", 1)
    load.leave("a")
    assert (load._all, load._busy, load._queues) == (0, {}, {})


async def test_one_that_gives_up_just_as_its_turn_comes_gives_the_place_back():
    load = AdmissionControl()

    async def hold():
        async with slot(load, "a", 1):
            await anyio.sleep_forever()

    assert load.enter("a", 1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hold)
        await until(lambda: load._queues)
        load.leave("a")
        tasks.cancel_scope.cancel()
    assert (load._all, load._busy) == (0, {})


def holding(alpha):
    may_go = anyio.Event()

    async def hold(_):
        await may_go.wait()
        return text("held")

    alpha.answers["x"] = hold
    return may_go


NO_QUEUE = {"GATEWAY_MAX_QUEUE": "0"}


@pytest.mark.parametrize("entrance", ["bytes", "sdk"])
async def test_a_busy_server_refuses_more_with_an_error_that_may_be_retried(gateway, entrance):
    alpha = Remote(tool("x"))
    may_go, held = holding(alpha), []

    async def hold(opened):
        held.append(await dispatch(opened, call()))

    async with gateway({"alpha": alpha}, NO_QUEUE, alpha={"max_calls": 1}) as opened, client(opened) as connection:
        await opened.gateway.discover("alpha", ANONYMOUS)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hold, opened)
            await until(lambda: alpha.calls)
            if entrance == "bytes":
                error = (await dispatch(opened, call()))["error"]
            else:
                with pytest.raises(MCPError) as refusal:
                    await ask(connection, "alpha__x", _meta={"progressToken": 1})
                error = refusal.value.error.model_dump()
            assert error["code"] == -31029
            assert "server 'alpha' is busy: 1 of 1 calls are under way" in error["message"]
            assert error["data"] == {"error_code": "overloaded", "retryable": True, "retryAfter": 1.0}
            may_go.set()
        assert (await dispatch(opened, call()))["result"]["content"][0]["text"] == "held"
    assert json.dumps(held).count("held") == 1


async def test_a_call_that_comes_as_bytes_waits_for_its_turn(gateway):
    alpha = Remote(tool("x"))
    may_go, done = holding(alpha), []

    async def one(opened):
        done.append(await dispatch(opened, call()))

    async with gateway({"alpha": alpha}, {}, alpha={"max_calls": 1}) as opened:
        await opened.gateway.discover("alpha", ANONYMOUS)
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(one, opened)
            await until(lambda: alpha.calls and opened.gateway.pool.load.count_pending() == 3)
            assert len(alpha.calls) == 1
            may_go.set()
    assert len(done) == 3
    assert all(answer["result"]["content"][0]["text"] == "held" for answer in done)


async def test_the_calls_of_one_caller_leave_room_for_those_of_the_others():
    load = AdmissionControl(Limits(calls=100, queue=8, wait=30.0), is_fair=True)
    assert sum(load.enter("a", 8, "mallory") for _ in range(20)) == 6
    assert [load.enter("a", 8, "ann"), load.enter("a", 8, "bob")] == [True, True]
    load.leave("a", "ann")
    assert not load.enter("a", 8, "mallory")
    assert load.enter("a", 8, "ann")


async def test_no_caller_fills_all_that_servers_share():
    load = AdmissionControl(Limits(calls=8, queue=8, wait=30.0), is_fair=True)
    assert sum(load.enter(server, 4, "mallory") for server in "abcd" for _ in range(4)) == 6
    assert load.enter("a", 8, "ann")


async def test_no_caller_fills_the_queue_of_a_server():
    load = AdmissionControl(Limits(calls=100, queue=8, wait=30.0), is_fair=True)
    assert load.enter("a", 1, "ann")
    admitted = []

    async def wait(caller):
        await load.wait_turn("a", 1, caller)
        admitted.append(caller)

    async with anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(wait, "mallory")
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(Overloaded, match="6 wait"):
            await load.wait_turn("a", 1, "mallory")
        tasks.start_soon(wait, "bob")
        await anyio.wait_all_tasks_blocked()
        for caller in ("ann", "mallory"):
            load.leave("a", caller)
            await anyio.wait_all_tasks_blocked()
        assert admitted == ["mallory", "bob"], "callers take turns"
        tasks.cancel_scope.cancel()
