"""What a server says of itself in its handshake keeps no client from connecting."""

from __future__ import annotations

import pytest
from mcp import Client
from mcp.client._memory import InMemoryTransport

from mcp_gateway.catalog.repair.handshake import repair_capabilities, repair_server_info

from ...support.fake_servers import ScriptedTransport, tool
from ...support.gateway import client, server_of

VALID = {
    "tools": {"listChanged": True, "x": None},
    "resources": {"subscribe": False},
    "experimental": {"x": {"y": None}},
    "extensions": {"com.example/y": {}},
    "tasks": {"list": {}, "requests": {"tools": {"call": {"x": None}}, "sampling": {}}},
    "vendor": None,
}
ODD = {
    "tools": {"listChanged": "yes"},
    "prompts": None,
    "resources": {"subscribe": None, "listChanged": True},
    "logging": True,
    "experimental": {"x": None, "y": {}},
    "extensions": {"io.modelcontextprotocol/tasks": None},
    "tasks": {"list": None, "cancel": {}, "requests": {"tools": {"call": None}}},
}
SHOWN = {
    "tools": {},
    "resources": {"listChanged": True},
    "experimental": {"y": {}},
    "extensions": {},
    "tasks": {"cancel": {}, "requests": {"tools": {}}},
}


def hello(**changes):
    info = {"name": "s", "version": "1"}
    return {"protocolVersion": "2025-11-25", "capabilities": ODD, "serverInfo": info, **changes}


def test_capabilities_are_repaired_and_valid_ones_stay():
    assert repair_capabilities(ODD) == SHOWN
    assert repair_capabilities(VALID) == VALID


@pytest.mark.parametrize(
    "info, shown",
    [
        ({"name": "s", "version": "1", "x": None}, {"name": "s", "version": "1", "x": None}),
        ({"name": "s", "version": "1", "title": None, "icons": {}}, {"name": "s", "version": "1"}),
        ({"name": "s", "version": None}, None),
        ({"version": "1"}, None),
        ("s", None),
        (None, None),
    ],
    ids=str,
)
def test_server_info_is_repaired_or_replaced(info, shown):
    assert repair_server_info(info) == shown


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "among others"])
async def test_a_client_connects_whatever_a_server_says_of_itself(gateway, mode, alone):
    odd = hello(instructions=None, serverInfo={"name": "s", "version": 1, "title": None})
    server = ScriptedTransport({"initialize": odd, "tools/list": {"tools": [tool("x")]}})
    entry = {"expose_tools": True, **({"namespace": None} if alone else {})}
    async with gateway({"alpha": server}, alpha=entry) as opened:
        async with client(opened) as connection:
            await connection.request("tools/list", {})
        async with Client(InMemoryTransport(server_of(opened)), mode=mode) as connection:
            listed = [item.name for item in (await connection.list_tools()).tools]
            assert connection.server_info.name == "mcp-orchestration-gateway"
            assert connection.instructions is None if alone else connection.instructions
        async with client(opened, modern=False) as connection:
            tasks = connection.initialize_result["capabilities"]["tasks"]
    assert listed[-1] == ("x" if alone else "alpha__x")
    assert tasks == SHOWN["tasks"]
