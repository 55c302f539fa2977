"""A client of a gateway in this process.

It goes through the gateway's MCP interface, as a model's program would.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
from mcp.shared.exceptions import MCPError
from mcp.shared.memory import create_client_server_memory_streams

from mcp_gateway.app import RunningGateway, open_gateway
from mcp_gateway.catalog.server_health import State
from mcp_gateway.client.connection import Connection, open_connection
from mcp_gateway.client.handshake import negotiate
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.terminal import complain
from mcp_gateway.protocol._sdk import Transport
from mcp_gateway.protocol.client_channel import Json

LOOK_SECONDS = 30.0
"""How long `servers` and `search` wait for servers; then they show which are still starting."""


@dataclass(frozen=True, slots=True)
class LocalClient:
    """A client of a gateway in this process."""

    running: RunningGateway
    connection: Connection
    patience: float
    """For how many seconds the slowest server may start and list."""

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> Json:
        """Call a tool of the gateway; return the unmodified result.

        A JSON-RPC error becomes a result with `isError`.
        """
        try:
            return await self.connection.request("tools/call", {"name": tool, "arguments": dict(arguments)})
        except MCPError as error:
            text = f"{error.error.message} (the server's error {error.error.code})"
            return {"isError": True, "content": [{"type": "text", "text": text}], "error": _error(error)}

    def describe_progress(self) -> str:
        """Describe how many servers are ready, and which are starting."""
        states = dict(self.running.gateway.registry.states.items())
        waiting = [name for name, state in states.items() if state.name is State.STARTING]
        ready = sum(state.name is State.READY for state in states.values())
        return f"{ready} of {len(states)} servers ready; starting: {', '.join(waiting) or 'none'}"

    async def wait_for_servers(self, seconds: float = math.inf) -> None:
        """Wait until every server has been listed or has failed."""
        await self.running.gateway.discovery.wait_for_servers(min(seconds, self.patience))


def warn_if_no_servers(context: ControlContext) -> None:
    """Print configuration warnings to standard error if there are no servers."""
    if not context.servers.specs and not context.servers.disabled:
        for warning in context.servers.warnings:
            complain(f"warning: {warning}")


@asynccontextmanager
async def open_local_client(context: ControlContext) -> AsyncIterator[LocalClient]:
    """Open an in-process gateway with a client connected to it."""
    limits = [spec.time_limits for spec in context.servers.specs]
    patience = max((limit.start.seconds + limit.list.seconds for limit in limits), default=0.0)
    async with open_gateway(context.settings, context.servers) as opened, anyio.create_task_group() as tasks:
        server = await opened.lazy_server.load()
        async with create_client_server_memory_streams() as (ours, theirs):
            tasks.start_soon(server.run, *theirs, server.create_initialization_options())
            async with open_connection(_transport_of(ours)) as connection:
                await negotiate(connection)
                yield LocalClient(opened, connection, patience)
        tasks.cancel_scope.cancel()


def _transport_of(streams: Any) -> Transport:
    @asynccontextmanager
    async def open_streams() -> AsyncIterator[Any]:
        yield streams

    return open_streams()


def _error(error: MCPError) -> Json:
    return {"code": error.error.code, "message": error.error.message, "data": error.error.data}
