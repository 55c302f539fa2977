"""Search of a tool in the listing of its server."""

from __future__ import annotations

from mcp_gateway.catalog.listing import Listing
from mcp_gateway.catalog.resolver import Resolver
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.discovery.caller_views import CallerRefresher
from mcp_gateway.gateway.errors import ToolForbidden, ToolWithheld
from mcp_gateway.plugin import Caller
from mcp_gateway.protocol.primitives import TOOLS
from mcp_gateway.text.hints import FIND_PERMITTED

# A model that guesses tool names must not cause a listing with each guess.
_RECHECK_SECONDS = 2.0


async def find_tool(
    views: CallerRefresher, spec: ServerSpec, name: str, caller: Caller, *, seen: Resolver, common: Resolver
) -> tuple[Listing, str]:
    """Return the server's listing and the tool's unqualified name.

    The server is listed again if the tool is missing from a listing that is not recent. `seen` is what the caller sees,
    `common` what everybody does.

    Raises:
        ToolWithheld: its definition has changed without approval, or its name is another owner's.
        ToolForbidden: the configuration does not permit it.
        UnknownTool: the server does not list it.

    """
    listing = await views.listing_of(spec, caller)
    tool = listing.tool_name(name) if listing else None
    if listing is None or (tool is None and listing.age > _RECHECK_SECONDS):
        listing = await views.discover(spec, caller, patience=spec.time_limits.call)
        tool = listing.tool_name(name)
    _raise_if_kept_back(spec, listing, name, tool)
    # A policy is for names that are listed: the server may understand others, such as one in another case.
    if tool is None and not spec.tool_policy and common.transparent is not None and not listing.modern:
        return listing, name  # of a modern server it may have been dropped as invalid, and must not be called
    if tool is None:
        raise seen.unknown_tool_error(name, listing)
    return listing, tool


def _raise_if_kept_back(spec: ServerSpec, listing: Listing, name: str, tool: str | None) -> None:
    if (why := listing.why_withheld(name)) is not None:
        raise ToolWithheld(f"the tool {name!r} is withheld: {why}")
    if tool is None and (why := listing.why_refused(TOOLS.name, name)) is not None:
        raise ToolWithheld(f"server {spec.name!r}: {why}")
    its_own = name.removeprefix(listing.full_name("")) if tool is None else tool
    if not spec.tool_policy.permits(its_own):
        raise ToolForbidden(
            f"the configuration of server {spec.name!r} permits no tool called {its_own!r}; {FIND_PERMITTED.for_models}"
        )
