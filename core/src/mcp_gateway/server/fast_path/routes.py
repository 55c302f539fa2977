"""Cached routes of tools on the fast path, per catalog."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from mcp.shared.inbound import MCP_METHOD_HEADER, MCP_NAME_HEADER, MCP_PROTOCOL_VERSION_HEADER, encode_header_value
from mcp_types.version import LATEST_MODERN_VERSION

from mcp_gateway.catalog.snapshot import Catalog, Listing, is_repeatable
from mcp_gateway.gateway.gateway import Gateway
from mcp_gateway.protocol.raw_json import encode_string
from mcp_gateway.server.fast_path.codec import Route
from mcp_gateway.sessions.session_key import SessionKey


@dataclass(slots=True)
class Routes:
    """Leads from names to servers."""

    gateway: Gateway
    _routes: dict[str, Route | None] = field(default_factory=dict)
    _of: Catalog | None = None

    def route(self, name: str) -> Route | None:
        """Return the route of a tool on the fast path.

        None if its calls must go through the SDK.
        """
        catalog = self.gateway.registry.catalog
        if self._of is not catalog:
            self._routes, self._of = {}, catalog
        try:
            return self._routes[name]
        except KeyError:
            # Names come from clients, who may invent as many as they like.
            if len(self._routes) > (len(catalog.servers) + 1) * 10_000:
                self._routes = {}
            server = catalog.owner(name)
            if server is None:
                return self._private_route(name) if self.gateway.views.personal else None
            self._routes[name] = route = self._leading(catalog.servers[server], name)
            return route

    def has(self, session_key: SessionKey, own: str) -> bool:
        """Whether a tool is among what its server offers for these credentials."""
        listing = self.gateway.views.personal.listing(session_key.spec.name, session_key.credentials)
        return listing is not None and own in listing.by_name and own not in listing.header_arguments

    def _private_route(self, name: str) -> Route | None:
        """Return the route of a tool that only some callers have.

        Whether this caller has it is checked later.
        """
        listing = self.gateway.views.personal.any_listing_with(name)
        route = None if listing is None else self._leading(listing, name)
        if route is None or listing is None:
            return None
        # The offer may be another caller's: what it says of repeating is no permission for this one.
        self._routes[name] = route = replace(route, own=listing.tool_name(name), repeatable=False)
        return route

    def _leading(self, listing: Listing, name: str) -> Route | None:
        own = listing.tool_name(name)
        if own is None or own in listing.header_arguments:
            return None
        headers = {
            MCP_PROTOCOL_VERSION_HEADER: LATEST_MODERN_VERSION,
            MCP_METHOD_HEADER: "tools/call",
            MCP_NAME_HEADER: encode_header_value(own),
        }
        spec = self.gateway.registry.specs[listing.server]
        return Route(spec, encode_string(own), headers, repeatable=is_repeatable(listing.by_name[own]))
