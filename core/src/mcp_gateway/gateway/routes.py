"""Routes of tools, found once for each catalog snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import Raw

from mcp_gateway.catalog.listing import Listing, is_repeatable
from mcp_gateway.catalog.registry import Registry
from mcp_gateway.catalog.snapshot import Catalog
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.gateway.request import Request
from mcp_gateway.protocol.headers import routing_headers
from mcp_gateway.protocol.raw_json import Fields, encode_raw

_MAX_ROUTES_PER_SERVER = 10_000

METHOD = "tools/call"
_NO_ARGUMENTS = Raw(b"{}")


@dataclass(frozen=True, slots=True)
class Route:
    """The route of a tool: its server, and what calls need.

    `name` is the tool's name at the server, as JSON.
    """

    spec: ServerSpec
    name: Raw
    headers: Mapping[str, str]
    mirrored: Mapping[tuple[str, ...], str] | None = None
    repeatable: bool = False

    def request(self, params: Fields, meta: Fields) -> Request:
        """Return the request of a call.

        Servers get an object of arguments, also if the client sent none.
        """
        return Request(
            METHOD,
            {"arguments": _NO_ARGUMENTS, **params, "name": self.name},
            meta,
            self.mirrored,
            self.repeatable,
            self.headers,
        )


def route_of(spec: ServerSpec, listing: Listing, tool: str) -> Route:
    """Return the route of a tool by its name at the server."""
    repeatable = is_repeatable(listing.by_name.get(tool, {}))
    headers = routing_headers(METHOD, {"name": tool}, None)
    return Route(spec, encode_raw(tool), headers, listing.header_arguments.get(tool), repeatable)


@dataclass(slots=True)
class Routes:
    """Routes through the common catalog, kept while its snapshot is current."""

    registry: Registry
    _catalog: Catalog | None = None
    _specs: Mapping[str, ServerSpec] | None = None
    _routes: dict[str, Route] = field(default_factory=dict, repr=False)

    def find(self, name: str) -> Route | None:
        """Return the route of a tool by its full name.

        None if the common catalog does not have it.
        """
        # Both are replaced as a whole, so identity is enough.
        if self.registry.catalog is not self._catalog or self.registry.specs is not self._specs:
            self._catalog, self._specs, self._routes = self.registry.catalog, self.registry.specs, {}
        route = self._routes.get(name)
        return self._find(name) if route is None else route

    def _find(self, name: str) -> Route | None:
        catalog = self.registry.catalog
        server = catalog.owner(name)
        listing = catalog.servers.get(server or "")
        tool = None if listing is None else listing.tool_name(name)
        if server is None or listing is None or tool is None:
            return None
        # A tool has several names: clients that make up ever new ones must not fill the memory.
        if len(self._routes) > (len(catalog.servers) + 1) * _MAX_ROUTES_PER_SERVER:
            self._routes.clear()
        self._routes[name] = route = route_of(self.registry.specs[server], listing, tool)
        return route
