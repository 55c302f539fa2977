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
from mcp_gateway.names import SEPARATOR, full_name, nearest
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
        """Call a tool by the name that it has here, and return what the server answered, untouched.

        `params` are those of `tools/call`, but for the name.
        """
        spec = self._spec_of(name)
        tools, tool = await self._known(spec, name, caller)
        borrower = await self.access.borrower(spec, caller)
        mirrored = tools.mirrored.get(tool)

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
            (name, tools.by_name[own])
            for server, tools in catalogue.servers.items()
            if self.registry.specs[server].expose_tools
            for name, own in tools.own_names.items()
        ]

    async def _known(self, spec: ServerSpec, name: str, caller: Caller) -> tuple[ServerTools, str]:
        """Return the server's tools, and its own name of the one called `name`; ask the server again if need be."""
        tools = self.registry.catalogue.servers.get(spec.name)
        tool = tools.own_name(name) if tools else None
        if tools is None or (tool is None and time.time() - tools.fetched > _RECHECK_SECONDS):
            tools = await self.discovery.discover(spec, caller)
            tool = tools.own_name(name)
        if tool is None:
            raise UnknownTool(self._no_such_tool(spec.name, name, tools))
        return tools, tool

    def _spec(self, name: str) -> ServerSpec:
        if name in self.registry.specs:
            return self.registry.specs[name]
        status = self.registry.statuses.get(name)
        if status is not None and status.state is State.DISABLED:
            raise UnknownServer(f"server {name!r} is disabled: {status.reason}")
        known = ", ".join(self.registry.specs) or "none"
        raise UnknownServer(f"no server is called {name!r}; {_meant(name, self.registry.specs)}servers: {known}")

    def _spec_of(self, name: str) -> ServerSpec:
        server = self.registry.catalogue.server_of(name)
        if server is None:
            hint = _meant(name, self.registry.catalogue.full_names())
            raise MalformedName(
                f"{name!r} is not a tool's full name, which has the form server{SEPARATOR}tool; "
                f"{hint}find names with tool_search"
            )
        return self._spec(server)

    def _no_such_tool(self, server: str, name: str, tools: ServerTools) -> str:
        tool = name.removeprefix(f"{server}{SEPARATOR}")
        near = [full_name(server, own) for own in nearest(tool, tools.by_name)]
        near = near or nearest(name, self.registry.catalogue.full_names())
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
