"""Routes of tools, found once for each catalog snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import Raw

from mcp_gateway.catalog.listing import Listing, is_repeatable
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.gateway.request import Request
from mcp_gateway.protocol.headers import routing_headers
from mcp_gateway.protocol.raw_json import Fields, encode_raw

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
