"""A model that asks a server for its tools hears how far its start is; others wait for nothing."""

from __future__ import annotations

import anyio
import pytest

from mcp_gateway.discovery import start_limit
from mcp_gateway.gateway import gateway as use_cases

from ..support.fake_servers import Remote, SlowServer, text, tool, until
from ..support.gateway import ask, client


@pytest.fixture
def slow(monkeypatch):
    monkeypatch.setattr(start_limit, "START_SECONDS", 0.05)
    monkeypatch.setattr(use_cases, "SETTLE_SECONDS", 0.05)
    slow = SlowServer(tool("x"))
    slow.line = "Downloading 40%"
    return slow


async def test_who_asks_a_server_that_starts_for_its_tools_hears_how_far_it_is(gateway, slow):
    remotes = {"slow": slow, "good": Remote(tool("y"))}
    async with gateway(remotes, slow={"start_timeout": 60}) as opened, client(opened) as connection:
        answer = await ask(connection, "discover_tools", {"server_name": "slow"})
        assert answer["structuredContent"]["error_code"] == "starting"
        said = answer["structuredContent"]["error"]
        assert said.startswith("server 'slow' is starting: Downloading 40%; it has had ")
        assert said.endswith("and this request waited 0.05 s; try again in a moment")
        assert (await ask(connection, "good__y"))["content"] == text("done")["content"]
        [note] = (await ask(connection, "tool_search", {"query": "y"}))["structuredContent"]["servers"]
        assert note.startswith("slow: starting since ")
        assert note.endswith(": Downloading 40%; call tool_search again in a moment")
        slow.may_start.set()
        await until(lambda: "slow" in opened.gateway.registry.catalog.servers)
        found = (await ask(connection, "discover_tools", {"server_name": "slow"}))["structuredContent"]
        assert found["tool_count"] == 1
    assert len(slow.opened) == 1


async def test_a_call_waits_for_the_start_in_its_own_time(gateway, slow):
    async with gateway({"slow": slow}, slow={"call_timeout": 0.3}) as opened, client(opened) as connection:
        late = (await ask(connection, "slow__x"))["structuredContent"]
        assert (late["error_code"], 'waited 0.3 s (its "call_timeout")' in late["error"]) == ("starting", True)


async def test_a_slow_list_of_a_server_that_has_started_is_waited_for(gateway, slow):
    slow.may_start.set()
    slow.may_list = anyio.Event()
    async with gateway({"slow": slow}) as opened, client(opened) as connection:
        await slow.listing.wait()
        answers = []

        async def discover():
            answers.append(await ask(connection, "discover_tools", {"server_name": "slow"}))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(discover)
            with anyio.move_on_after(4 * start_limit.START_SECONDS):
                await anyio.sleep_forever()
            assert answers == []
            slow.may_list.set()
        assert answers[0]["structuredContent"]["tool_count"] == 1
