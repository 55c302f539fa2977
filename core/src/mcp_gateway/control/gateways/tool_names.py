"""The names of the tools that running gateways know."""

from __future__ import annotations

from contextlib import suppress

import anyio

from mcp_gateway.control.gateways.client import open_running_client
from mcp_gateway.local_socket.folder import Endpoint, list_endpoints
from mcp_gateway.plugin import GatewayError


async def ask_tool_names(seconds: float) -> list[str]:
    """Return the full names that gateways tell in time."""
    found: dict[str, None] = {}

    async def ask(endpoint: Endpoint) -> None:
        with suppress(GatewayError):
            async with open_running_client(endpoint) as client:
                names = (await client.ask("tools")).get("tools")
                found.update(dict.fromkeys(map(str, names)) if isinstance(names, list) else {})

    with anyio.move_on_after(seconds):
        async with anyio.create_task_group() as tasks:
            for endpoint in list_endpoints():
                tasks.start_soon(ask, endpoint)
    return list(found)
