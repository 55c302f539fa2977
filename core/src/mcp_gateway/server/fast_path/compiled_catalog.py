"""Values that the fast path derives from one catalog snapshot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from mcp_gateway.catalog.snapshot import Catalog
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.gateway.gateway import Gateway
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.server.fast_path.codec import Route, route_from_listing
from mcp_gateway.server.server_info import server_info
from mcp_gateway.server.tools import Tools

_MAX_ROUTES_PER_SERVER = 10_000


@dataclass(frozen=True, eq=False)
class CompiledCatalog:
    """A catalog snapshot with routes, tool lists and `serverInfo` as bytes.

    `catalog`, `specs` and `builtin_tools` are all that these depend on. An outdated object is replaced, never changed.
    """

    gateway: Gateway
    tools: Tools
    catalog: Catalog
    specs: Mapping[str, ServerSpec]
    builtin_tools: Sequence[Json]

    # Filled at the first use: thousands of definitions take long to encode, and while servers start most snapshots
    # are replaced before anything is asked of them.
    _routes: dict[str, Route | None] = field(default_factory=dict, repr=False)
    _tool_lists: dict[bool, bytes] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, gateway: Gateway, tools: Tools) -> CompiledCatalog:
        """Compile the current snapshot."""
        return cls(gateway, tools, gateway.registry.catalog, gateway.registry.specs, tools.builtin_tools)

    def is_current(self) -> bool:
        """Whether the snapshot has not been replaced.

        All three are replaced as a whole, so identity is enough; `revision` is not: it does not count what a server
        says of itself.
        """
        registry = self.gateway.registry
        return (
            registry.catalog is self.catalog
            and registry.specs is self.specs
            and self.tools.builtin_tools is self.builtin_tools
        )

    @cached_property
    def builtin_names(self) -> frozenset[str]:
        """The names of the gateway's own tools, if clients see them."""
        return self.tools.own_names

    @cached_property
    def server_info(self) -> bytes:
        """The `serverInfo` of each modern result."""
        return encode_json(server_info(self.gateway))

    def tool_list(self, *, modern: bool) -> bytes:
        """Return the definitions of a `tools/list` result, for an era."""
        if modern not in self._tool_lists:
            definitions = self.tools.list_definitions(self.gateway.resolver, modern=modern)
            self._tool_lists[modern] = b"[%b]" % b",".join(map(encode_json, definitions))
        return self._tool_lists[modern]

    def route(self, name: str) -> Route | None:
        """Return the route of a tool on the fast path.

        None if its calls must go through the SDK.
        """
        try:
            return self._routes[name]
        except KeyError:
            return self._find_route(name)

    def _find_route(self, name: str) -> Route | None:
        server = self.catalog.owner(name)
        if server is None:
            return self._find_private_route(name) if self.gateway.views.personal else None
        return self._keep_route(name, route_from_listing(self.specs[server], self.catalog.servers[server], name))

    def _find_private_route(self, name: str) -> Route | None:
        """Return the route of a tool that only some callers have.

        Whether this caller has it is checked at each call.
        """
        # Overlays change without a new snapshot. A route found is kept nevertheless, because it says only where the
        # name leads, which the configuration decides; that there is none is not, because the next caller may have it.
        listing = self.gateway.views.personal.any_listing_with(name)
        route = None if listing is None else route_from_listing(self.specs[listing.server], listing, name)
        if route is None or listing is None:
            return None
        # The listing may be another caller's: what it says of repeating is no permission for this one.
        return self._keep_route(name, replace(route, original_name=listing.tool_name(name), repeatable=False))

    def _keep_route(self, name: str, route: Route | None) -> Route | None:
        # A tool has several names: clients that make up ever new ones must not fill the memory.
        if len(self._routes) > (len(self.catalog.servers) + 1) * _MAX_ROUTES_PER_SERVER:
            self._routes.clear()
        self._routes[name] = route
        return route


def encode_json(value: object) -> bytes:
    """Encode a value as compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()
