"""Changed lists: clients of both eras hear of those that they see, and of no others."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace

import anyio
import pytest
from mcp import Client
from mcp.client._memory import InMemoryTransport
from mcp.shared.subscriptions import ToolsListChanged
from structlog.testing import capture_logs

from mcp_gateway.plugin import ANONYMOUS

from ..support.fake_servers import Remote, tool, until
from ..support.gateway import ask, client, server_of

EXPOSED = {"alpha": {"expose_tools": True}}


async def list_tools(connection):
    return (await connection.request("tools/list", {}))["tools"]


async def test_a_client_of_the_handshake_era_is_notified_that_the_list_has_changed(gateway):
    alpha, notifications = Remote(tool("x")), []
    async with (
        gateway({"alpha": alpha}, **EXPOSED) as opened,
        client(opened, modern=False, notifications=notifications) as connection,
    ):
        await list_tools(connection)
        notifications.clear()
        alpha.tools = [tool("y")]
        await opened.gateway.discover("alpha", ANONYMOUS)
        await until(lambda: notifications == ["notifications/tools/list_changed"])
        assert (await list_tools(connection))[-1]["name"] == "alpha__y"


async def test_a_modern_client_that_listens_is_notified_that_the_list_has_changed(gateway):
    alpha = Remote(tool("x"))
    async with (
        gateway({"alpha": alpha}, **EXPOSED) as opened,
        Client(InMemoryTransport(server_of(opened))) as connection,
    ):
        await connection.list_tools()
        async with connection.listen(tools_list_changed=True) as news:
            alpha.tools = [tool("y")]
            await opened.gateway.discover("alpha", ANONYMOUS)
            with anyio.fail_after(5):
                assert isinstance(await anext(aiter(news)), ToolsListChanged)
        assert (await connection.list_tools(cache_mode="bypass")).tools[-1].name == "alpha__y"


async def test_no_client_is_notified_of_tools_that_are_not_listed(gateway):
    alpha, notifications = Remote(tool("x")), []
    async with (
        gateway({"alpha": alpha}) as opened,
        client(opened, modern=False, notifications=notifications) as connection,
    ):
        await ask(connection, "discover_tools", {"server_name": "alpha"})
        alpha.tools = [tool("y")]
        await ask(connection, "discover_tools", {"server_name": "alpha"})
        await list_tools(connection)
    assert notifications == []


async def test_a_client_is_notified_only_of_lists_that_it_has_asked_for_and_once_for_each_change(gateway):
    alpha, heard = Remote(tool("x")), {name: [] for name in ("none", "tools", "prompts", "templates")}
    async with gateway({"alpha": alpha}, **EXPOSED) as opened, AsyncExitStack() as stack:
        await opened.gateway.discover("alpha", ANONYMOUS)
        clients = {
            name: await stack.enter_async_context(client(opened, modern=False, notifications=notifications))
            for name, notifications in heard.items()
        }
        await ask(clients["none"], "tool_search", {"query": "x"})
        await list_tools(clients["tools"])
        await clients["prompts"].request("prompts/list", {})
        await clients["templates"].request("resources/templates/list", {})
        listing = opened.gateway.registry.catalog.servers["alpha"]
        for number in range(2):
            found = {
                "tools": (tool(f"y{number}"),),
                "prompts": ({"name": f"p{number}"},),
                "resources": ({"uri": f"file:///{number}", "name": "r"},),
                "templates": ({"uriTemplate": f"file:///{number}/{{x}}", "name": "t"},),
            }
            opened.gateway.registry.put(replace(listing, **found))
        expected = {
            "none": [],
            "tools": ["notifications/tools/list_changed"] * 2,
            "prompts": ["notifications/prompts/list_changed"] * 2,
            "templates": ["notifications/resources/list_changed"] * 2,
        }
        await until(lambda: heard["templates"] == expected["templates"] and heard["tools"] == expected["tools"])
        for connection in clients.values():  # an answer comes after all that was sent before
            await ask(connection, "tool_search", {"query": "x"})
    assert heard == expected


@pytest.mark.parametrize(
    "counts, levels",
    [
        ([37], []),
        ([38], [41]),
        ([20, 38, 39, 30, 38], [41, 41]),
        ([78], [81]),
        ([38, 78, 126], [41, 81, 129]),
        ([200], [203]),
    ],
)
async def test_a_long_list_is_warned_of_once_for_each_level(gateway, counts, levels):
    alpha = Remote(tool("x"))
    async with gateway({"alpha": alpha}, **EXPOSED) as opened:
        with capture_logs() as logs:
            for count in counts:
                alpha.tools = [tool(f"t{number}") for number in range(count)]
                await opened.gateway.discover("alpha", ANONYMOUS)
    said = [entry for entry in logs if entry["event"] == "many tools listed"]
    assert [entry["tools"] for entry in said] == levels
    assert all(
        entry["reason"].startswith(f"{entry['tools']} tools are listed natively, which is more") for entry in said
    )


async def test_tools_that_are_found_only_are_no_long_list(gateway):
    alpha = Remote(*(tool(f"t{number}") for number in range(200)))
    with capture_logs() as logs:
        async with gateway({"alpha": alpha}) as opened:
            await opened.gateway.discover("alpha", ANONYMOUS)
    assert not [entry for entry in logs if entry["event"] == "many tools listed"]
