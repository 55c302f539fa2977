"""Notification of clients when the lists that they see have changed."""

from __future__ import annotations

import structlog
from anyio.abc import TaskGroup

from mcp_gateway.catalog.listing import Definition, Listing
from mcp_gateway.catalog.native_lists import describe_long_list, long_list_level
from mcp_gateway.gateway.gateway import Gateway
from mcp_gateway.protocol.primitives import PRIMITIVES, TOOLS, Primitive
from mcp_gateway.server.builtin_tools import builtin_tools
from mcp_gateway.server.clients import Clients
from mcp_gateway.server.listen import ListenStreams
from mcp_gateway.server.tools import Tools

log = structlog.get_logger(__name__)


class ListChanges:
    """Notifier that compares each catalog with the previous one."""

    def __init__(
        self, gateway: Gateway, tools: Tools, clients: Clients, streams: ListenStreams, tasks: TaskGroup
    ) -> None:
        """Begin with the present lists.

        `clients` are those of the handshake era, `streams` those of the modern era. `tasks` lives as long as the
        gateway.
        """
        self._gateway, self._tools, self._tasks = gateway, tools, tasks
        self._clients, self._streams = clients, streams
        self._specs = gateway.registry.specs
        self._exposed = self._list_exposed()
        self._level = 0
        self._warn_of_length()

    def on_catalog_changed(self) -> None:
        """Handle a new catalog: notify clients of the lists that differ."""
        exposed = self._list_exposed()
        changed = {primitive for primitive in PRIMITIVES if exposed[primitive] != self._exposed[primitive]}
        self._exposed = exposed
        if self._update_builtin_tools():
            changed.add(TOOLS)
        if TOOLS in changed:
            self._warn_of_length()
        self._start_notify(changed)

    def on_caller_catalog_changed(
        self, server: str, before: Listing | None, listing: Listing, clients: frozenset[str]
    ) -> None:
        """Handle a changed listing of certain callers: notify their clients."""
        exposed = self._gateway.registry.specs[server].exposed
        changed = {
            primitive
            for primitive in PRIMITIVES
            if primitive.name in exposed and getattr(before, primitive.name, ()) != getattr(listing, primitive.name)
        }
        self._start_notify(changed, clients)

    def _list_exposed(self) -> dict[Primitive, list[tuple[str, Definition]]]:
        return {primitive: self._gateway.resolver.list_definitions(primitive) for primitive in PRIMITIVES}

    def _update_builtin_tools(self) -> bool:
        """Rebuild the built-in tools if the configured servers changed.

        Returns whether the definitions differ.
        """
        if self._specs is self._gateway.registry.specs:
            return False
        self._specs = self._gateway.registry.specs
        return self._tools.set_builtin_tools(builtin_tools(self._specs.values(), self._gateway.finder.max_results))

    def _warn_of_length(self) -> None:
        """Warn once of each level that the number of listed tools passes."""
        count = len(self._tools.builtin_tools) + len(self._exposed[TOOLS])
        before, self._level = self._level, long_list_level(count)
        if self._level > before:
            log.warning("many tools listed", tools=count, reason=describe_long_list(count))

    def _start_notify(self, changed: set[Primitive], clients: frozenset[str] | None = None) -> None:
        if changed:
            # In a task, because clients that read slowly must not delay the catalog.
            self._tasks.start_soon(self._notify, frozenset(primitive.capability for primitive in changed), clients)

    async def _notify(self, changed: frozenset[str], clients: frozenset[str] | None) -> None:
        """Send `list_changed` to clients of both eras that want it.

        It is sent to all of them, or to those in `clients`.
        """
        for name in sorted(changed):
            self._streams.announce(name, clients)
            await self._clients.announce(name, clients)
