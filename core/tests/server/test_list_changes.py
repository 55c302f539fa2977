"""Changed lists: clients of both eras hear of those that they see, and of no others."""

from __future__ import annotations

import anyio
from mcp import Client
from mcp.client._memory import InMemoryTransport
from mcp.shared.subscriptions import ToolsListChanged

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
