"""Cached routes of tools on the fast path, per catalog."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from mcp.shared.inbound import MCP_METHOD_HEADER, MCP_NAME_HEADER, MCP_PROTOCOL_VERSION_HEADER, encode_header_value
from mcp_types.version import LATEST_MODERN_VERSION

from mcp_gateway.catalog.snapshot import Catalogue, Offer, is_repeatable
from mcp_gateway.gateway.gateway import Gateway
from mcp_gateway.protocol.raw_json import quoted
from mcp_gateway.server.fast_path.codec import Route
from mcp_gateway.sessions.session_key import Borrower


@dataclass(slots=True)
class Routes:
    """Leads from names to servers."""

    gateway: Gateway
    _routes: dict[str, Route | None] = field(default_factory=dict)
    _of: Catalogue | None = None

    def route(self, name: str) -> Route | None:
        """Return the route of a tool on the fast path.

        None if its calls must go through the SDK.
        """
        catalogue = self.gateway.registry.catalogue
        if self._of is not catalogue:
            self._routes, self._of = {}, catalogue
        try:
            return self._routes[name]
        except KeyError:
            if len(self._routes) > (len(catalogue.servers) + 1) * 10_000:
                self._routes = {}
            server = catalogue.owner(name)
            if server is None:
                return self._own_route(name) if self.gateway.views.personal else None
            self._routes[name] = route = self._leading(catalogue.servers[server], name)
            return route

    def has(self, borrower: Borrower, own: str) -> bool:
        """Whether a tool is among what its server offers for these credentials."""
        offer = self.gateway.views.personal.offer(borrower.spec.name, borrower.credentials)
        return offer is not None and own in offer.by_name and own not in offer.mirrored

    def _own_route(self, name: str) -> Route | None:
        """Return the route of a tool that only some callers have.

        Whether this caller has it is checked later.
        """
        offer = self.gateway.views.personal.any_offer(name)
        route = None if offer is None else self._leading(offer, name)
        if route is None or offer is None:
            return None
        # The offer may be another caller's: what it says of repeating is no permission for this one.
        self._routes[name] = route = replace(route, own=offer.own_name(name), repeatable=False)
        return route

    def _leading(self, offer: Offer, name: str) -> Route | None:
        own = offer.own_name(name)
        if own is None or own in offer.mirrored:
            return None
        headers = {
            MCP_PROTOCOL_VERSION_HEADER: LATEST_MODERN_VERSION,
            MCP_METHOD_HEADER: "tools/call",
            MCP_NAME_HEADER: encode_header_value(own),
        }
        spec = self.gateway.registry.specs[offer.server]
        return Route(spec, quoted(own), headers, repeatable=is_repeatable(offer.by_name[own]))
