"""The gateway: discover, search, call. Every line of the product passes through here."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from mcp_gateway.access import Access
from mcp_gateway.catalogue import Definition, ServerTools
from mcp_gateway.config.servers import ServerSpec
from mcp_gateway.discovery import Discovery
from mcp_gateway.names import SEPARATOR, full_name, nearest, split_name
from mcp_gateway.plugin import Caller, GatewayError, Query
from mcp_gateway.registry import Registry, State
from mcp_gateway.search import Found, Search
from mcp_gateway.sessions.peer import Json, Peer, ProgressFn
from mcp_gateway.sessions.pool import Pool, Touch

log = structlog.get_logger(__name__)

SETTLE_SECONDS = 3.0
"""How long a search waits for servers that have just begun to start."""

SETTLE_EMPTY_SECONDS = 10.0
"""How long it waits if it would find nothing without them."""

_RECHECK_SECONDS = 2.0


class MalformedName(GatewayError):
    """It is not of the form server__tool."""

    code = "malformed_name"


class UnknownServer(GatewayError):
    """No server of that name is configured."""

    code = "unknown_server"


class UnknownTool(GatewayError):
    """The server has no tool of that name."""

    code = "unknown_tool"


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the gateway does, in three straight lines."""

    registry: Registry
    discovery: Discovery
    finder: Search
    access: Access
    pool: Pool

    async def discover(self, server: str, caller: Caller) -> ServerTools:
        """Ask a server for its tools now, and remember them."""
        return await self.discovery.discover(self._spec(server), caller)

    async def search(self, query: Query, caller: Caller, ranker: str | None = None) -> Found:
        """Find the tools that fit a query."""
        self.discovery.freshen(caller)
        await self.discovery.settled(SETTLE_SECONDS)
        found = await self.finder.find(self.registry.catalogue, query, ranker)
        if not found.hits.total and self.discovery.running:
            await self.discovery.settled(SETTLE_EMPTY_SECONDS)
            found = await self.finder.find(self.registry.catalogue, query, ranker)
        return found

    async def call(self, name: str, params: Json, caller: Caller, on_progress: ProgressFn | None = None) -> Json:
        """Call a tool by its full name and return what the server answered, untouched.

        `params` are those of `tools/call`, but for the name.
        """
        spec, tool = self._split(name)
        known = await self._known(spec, tool, caller)
        borrower = await self.access.borrower(spec, caller)
        mirrored = known.mirrored.get(tool)

        async def send(peer: Peer, touch: Touch) -> Json:
            progress = on_progress and _touching(touch, on_progress)
            return await peer.request("tools/call", {**params, "name": tool}, on_progress=progress, mirrored=mirrored)

        return await _logged(name, self.pool.lend(borrower, send))

    def definition(self, name: str) -> Definition | None:
        """Return the definition of a tool that is known by its full name."""
        return self.registry.catalogue.find(name)

    def exposed(self) -> list[tuple[str, Definition]]:
        """Return full name and definition of every tool that is listed natively."""
        catalogue = self.registry.catalogue
        return [
            (full_name(server, name), definition)
            for server, tools in catalogue.servers.items()
            if self.registry.specs[server].expose_tools
            for name, definition in tools.by_name.items()
        ]

    async def _known(self, spec: ServerSpec, tool: str, caller: Caller) -> ServerTools:
        """Return the server's tools, which hold `tool`; ask the server again if they do not."""
        tools = self.registry.catalogue.servers.get(spec.name)
        if tools is None or (tool not in tools.by_name and time.time() - tools.fetched > _RECHECK_SECONDS):
            tools = await self.discovery.discover(spec, caller)
        if tool not in tools.by_name:
            raise UnknownTool(self._no_such_tool(spec.name, tool, tools))
        return tools

    def _spec(self, name: str) -> ServerSpec:
        if name in self.registry.specs:
            return self.registry.specs[name]
        status = self.registry.statuses.get(name)
        if status is not None and status.state is State.DISABLED:
            raise UnknownServer(f"server {name!r} is disabled: {status.reason}")
        known = ", ".join(self.registry.specs) or "none"
        raise UnknownServer(f"no server is called {name!r}; {_meant(name, self.registry.specs)}servers: {known}")

    def _split(self, name: str) -> tuple[ServerSpec, str]:
        parts = split_name(name)
        if parts is None:
            hint = _meant(name, self.registry.catalogue.full_names())
            raise MalformedName(
                f"{name!r} is not a tool's full name, which has the form server{SEPARATOR}tool; "
                f"{hint}find names with tool_search"
            )
        return self._spec(parts[0]), parts[1]

    def _no_such_tool(self, server: str, tool: str, tools: ServerTools) -> str:
        near = [full_name(server, name) for name in nearest(tool, tools.by_name)]
        near = near or nearest(full_name(server, tool), self.registry.catalogue.full_names())
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else "."
        return f"server {server!r} has no tool {tool!r}{hint} Find its tools with tool_search."


def _meant(name: str, known: Mapping[str, Any] | Any) -> str:
    near = nearest(name, known)
    return f"did you mean {' or '.join(map(repr, near))}? " if near else ""


async def _logged(name: str, called: Awaitable[Json]) -> Json:
    """Log what became of a call: failures for all to see, the others for those who want to see them."""
    began, failed = time.perf_counter(), True
    try:
        result = await called
        failed = result.get("isError") is True
        return result
    finally:
        tell = log.info if failed else log.debug
        tell("call failed" if failed else "called", tool=name, seconds=round(time.perf_counter() - began, 3))


def _touching(touch: Touch, on_progress: ProgressFn) -> ProgressFn:
    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        touch()
        await on_progress(progress, total, message)

    return progressed
