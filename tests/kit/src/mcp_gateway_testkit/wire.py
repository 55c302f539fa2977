"""Raw JSON client for the contracts.

Results are as they came over the transport, not as a model of the SDK has them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp.client import Transport
from mcp.shared.dispatcher import CallOptions, DispatchContext
from mcp.shared.exceptions import MCPError
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher

Json = dict[str, Any]

VERSION = "2025-11-25"
"""The protocol version that it asks for."""

_METHOD_NOT_FOUND = -32601


@dataclass(slots=True)
class Session:
    """A session that has shaken hands. Made by `session`."""

    dispatcher: JSONRPCDispatcher
    version: str = ""
    notified: list[str] = field(default_factory=list)
    news: anyio.Event = field(default_factory=anyio.Event)

    async def request(self, method: str, params: Json | None = None) -> Json:
        """Send a request; return its raw result.

        Raises:
            mcp.MCPError: the server, or the transport, answered with an error.

        """
        return await self.dispatcher.send_raw_request(method, params or {}, self._options())

    async def call(self, tool: str, **arguments: object) -> Json:
        """Call a tool; return the raw result."""
        return await self.request("tools/call", {"name": tool, "arguments": arguments})

    async def text(self, tool: str, **arguments: object) -> str:
        """Call a tool; return the text of its first content block."""
        return str((await self.call(tool, **arguments))["content"][0]["text"])

    async def initialize(self) -> None:
        """Send `initialize` and `notifications/initialized`."""
        params = {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": {"name": "testkit", "version": "1"}}
        self.version = (await self.request("initialize", params))["protocolVersion"]
        await self.dispatcher.notify("notifications/initialized", None, self._options())

    def _options(self) -> CallOptions:
        return {"headers": {"mcp-protocol-version": self.version}} if self.version else {}


@asynccontextmanager
async def session(transport: Transport) -> AsyncIterator[Session]:
    """Open a transport, initialize, and close it at the end.

    Raises:
        mcp.MCPError: the server refused.

    """
    async with transport as (read, write), anyio.create_task_group() as tasks:
        opened = Session(JSONRPCDispatcher(read, write))

        async def on_notification(_: DispatchContext[Any], method: str, __: Mapping[str, Any] | None) -> None:
            opened.notified.append(method)
            opened.news.set()

        await tasks.start(opened.dispatcher.run, _refuse, on_notification)
        await opened.initialize()
        yield opened
        tasks.cancel_scope.cancel()


async def _refuse(_: DispatchContext[Any], method: str, __: Mapping[str, Any] | None) -> Json:
    raise MCPError(_METHOD_NOT_FOUND, f"Method not found: {method}")
