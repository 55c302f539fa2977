"""What is derived from one catalog snapshot, and dies with it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from msgspec import Raw

from mcp_gateway.catalog.listing import Listing, is_repeatable
from mcp_gateway.catalog.registry import Registry
from mcp_gateway.catalog.snapshot import Catalog
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.gateway.request import Request
from mcp_gateway.protocol.headers import routing_headers
from mcp_gateway.protocol.raw_json import Fields, encode_raw
from mcp_gateway.protocol.tool_names import split_name

METHOD = "tools/call"
_NO_ARGUMENTS = Raw(b"{}")

_MAX_ROUTES_PER_SERVER = 10_000
_MAX_PRIVATE_ROUTES = 1_000


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


@dataclass(frozen=True, eq=False)
class CompiledCatalog:
    """A catalog's routes, and its parts encoded as JSON.

    Both are made at the first use: thousands of definitions take long to encode, and while servers start most snapshots
    are replaced before anything is asked of them. An outdated object is replaced, never changed.
    """

    catalog: Catalog
    specs: Mapping[str, ServerSpec]
    _routes: dict[str, Route] = field(default_factory=dict, repr=False)
    # With the listing, so that no other one can have its identity while the route is kept.
    _private: dict[tuple[int, str], tuple[Listing, Route]] = field(default_factory=dict, repr=False)
    _encoded: dict[Hashable, Raw] = field(default_factory=dict, repr=False)

    def known_route(self, name: str) -> Route | None:
        """Return the route of a tool that has been asked for before."""
        return self._routes.get(name)

    def route(self, name: str) -> Route | None:
        """Return the route of a tool by its full name.

        None if the catalog does not have it.
        """
        route = self._routes.get(name)
        return self._find(name) if route is None else route

    def prefix_owner(self, name: str) -> ServerSpec | None:
        """Return the server whose prefix a full name begins with, or None.

        No other server's names begin with it.
        """
        parts = split_name(name)
        return None if parts is None else self._by_prefix.get(parts[0])

    @cached_property
    def has_mirrored(self) -> bool:
        """Whether any tool has arguments that headers repeat."""
        return any(listing.header_arguments for listing in self.catalog.servers.values())

    @cached_property
    def _by_prefix(self) -> Mapping[str, ServerSpec]:
        return {spec.namespace or spec.name: spec for spec in self.specs.values() if spec.namespace is not None}

    def route_within(self, spec: ServerSpec, listing: Listing, name: str) -> Route | None:
        """Return the route of a tool of a listing for certain credentials.

        None if the listing does not have it, or the server was configured anew.
        """
        if self.specs.get(spec.name) is not spec:
            return None
        key = (id(listing), name)
        if (known := self._private.get(key)) is not None:
            return known[1]
        if (tool := listing.tool_name(name)) is None:
            return None
        if len(self._private) >= _MAX_PRIVATE_ROUTES:
            self._private.clear()
        route = route_of(spec, listing, tool)
        self._private[key] = (listing, route)
        return route

    def encoded(self, key: Hashable, encode: Callable[[], Raw]) -> Raw:
        """Return what `encode` makes of this snapshot, made once for each key."""
        found = self._encoded.get(key)
        if found is None:
            self._encoded[key] = found = encode()
        return found

    def _find(self, name: str) -> Route | None:
        server = self.catalog.owner(name)
        listing = self.catalog.servers.get(server or "")
        tool = None if listing is None else listing.tool_name(name)
        if server is None or listing is None or tool is None:
            return None
        # A tool has several names: clients that make up ever new ones must not fill the memory.
        if len(self._routes) > (len(self.catalog.servers) + 1) * _MAX_ROUTES_PER_SERVER:
            self._routes.clear()
        self._routes[name] = route = route_of(self.specs[server], listing, tool)
        return route


@dataclass(slots=True)
class CatalogCompiler:
    """Keeps the compiled form of the registry's current catalog."""

    registry: Registry
    _compiled: CompiledCatalog | None = None

    def current(self) -> CompiledCatalog:
        """Return the compiled current catalog; ask again after each await."""
        registry, compiled = self.registry, self._compiled
        # Both are replaced as a whole, so identity is enough. `revision` is not: it does not count what a server says
        # of itself.
        if compiled is None or registry.catalog is not compiled.catalog or registry.specs is not compiled.specs:
            self._compiled = compiled = CompiledCatalog(registry.catalog, registry.specs)
        return compiled
