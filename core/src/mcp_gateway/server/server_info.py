"""The gateway's instructions, capabilities and `serverInfo`.

The capabilities include some of those of the servers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import mcp_types as types

from mcp_gateway.catalog.listing import Listing
from mcp_gateway.catalog.repair.handshake import repair_capabilities, repair_server_info
from mcp_gateway.catalog.resolver import Resolver
from mcp_gateway.catalog.server_health import State
from mcp_gateway.config.server_spec import SWITCHED_OFF, ServerSpec
from mcp_gateway.gateway.gateway import Gateway
from mcp_gateway.gateway.tasks import EXTENSION
from mcp_gateway.loops.chain import Chain, Position, answer_chain
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.protocol.implementation import IMPLEMENTATION
from mcp_gateway.text.name_lists import clip, fit_lines, fit_names, utf16_length

_TASKS: Json = {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}
"""The gateway's own `tasks` capability of the handshake era."""

MAX_INSTRUCTIONS = 2000
"""How many characters of instructions clients pass on to their models; Claude Code cuts off the rest."""

_MAX_NOTES = 1000
"""How many of these notes for the user may have."""

_INTRODUCTION = (
    "This gateway gives access to the tools of the servers below without listing them all.\n"
    "Find tools with tool_search, then call them by their full name with call_remote_tool.\n"
)


def describe_server(seen: Resolver, base: Json, *, modern: bool) -> Json:
    """Complete the `initialize` or `server/discover` result for a caller."""
    listings = list(seen.catalog.servers.values())
    only = listings[0] if listings and seen.transparent is not None else None
    if only is not None:
        return _transparent_result(only, base, modern=modern)
    capabilities = dict(base["capabilities"])
    for listing in listings:
        # Capabilities of a server of the other era are not declared, because there they mean other requests.
        if listing.modern == modern:
            capabilities = _merge_capabilities(capabilities, _passing(listing))
    return {**base, "capabilities": capabilities}


def with_chain_answer(result: Json, position: Position, chain: Chain) -> Json:
    """Add the answer to a gateway's chain to a handshake result."""
    answer = answer_chain(position, chain)
    return {**result, "_meta": {**(result.get("_meta") or {}), **answer}} if answer else result


def _passing(listing: Listing) -> Json:
    """Return the capabilities of one of several servers that are declared: tasks.

    Other extensions and experimental capabilities are declared only for a single server: among several it would be
    unclear which one a request is for.
    """
    capabilities = repair_capabilities(listing.capabilities)
    tasks, extensions = capabilities.get("tasks"), capabilities.get("extensions")
    passing: Json = {}
    if isinstance(tasks, dict):
        passing["tasks"] = _common(tasks, _TASKS)
    if isinstance(extensions, dict) and EXTENSION in extensions:
        passing["extensions"] = {EXTENSION: extensions[EXTENSION]}
    return passing


def instructions_of(gateway: Gateway) -> str:
    """Return the gateway's current instructions."""
    registry = gateway.registry
    about = {name: listing.description for name, listing in registry.catalog.servers.items()}
    unusable = [
        f"server {name!r} is left out: {state.reason}"
        for name, state in registry.states.items()
        if state.name is State.DISABLED and state.reason != SWITCHED_OFF
    ]
    return instructions(registry.specs.values(), about, [*registry.notices, *unusable])


def instructions(specs: Iterable[ServerSpec], about: Mapping[str, str], notices: Sequence[str] = ()) -> str:
    """Return the gateway's instructions: its servers and their descriptions."""
    named = [(spec.name, spec.description or about.get(spec.name, "")) for spec in specs]
    notes = fit_lines([f"Note for the user: {clip(notice, 600)}." for notice in notices], _MAX_NOTES)
    if not named:
        empty = "This gateway has no servers configured yet; list them in its server_config.json."
        return "\n".join([empty, *notes])
    room = MAX_INSTRUCTIONS - utf16_length("\n".join([_INTRODUCTION, *notes]))
    return "\n".join([_INTRODUCTION + fit_names(named, room, _line, "\n"), *notes])


def server_info(gateway: Gateway) -> object:
    """Return `serverInfo`: the gateway's, or that of a transparent server.

    It is that server's if there is a transparent one.
    """
    listings = list(gateway.registry.catalog.servers.values())
    if not listings or gateway.resolver.transparent is None:
        return IMPLEMENTATION
    return _info_of(listings[0]) or IMPLEMENTATION


def _line(name: str, about: str) -> str:
    return f"- {name}: {about}" if about else f"- {name}"


def _transparent_result(listing: Listing, base: Json, *, modern: bool) -> Json:
    """Build the handshake result from the only server's.

    It keeps what is valid in the client's era.
    """
    text = listing.initialize_result.get("instructions")
    identity: Json = {"instructions": text} if isinstance(text, str) else {}
    capabilities = repair_capabilities(listing.capabilities)
    if not modern and (info := _info_of(listing)) is not None:
        identity["serverInfo"] = info
    if listing.modern == modern:
        return {**_without(base, "instructions"), **identity, "capabilities": capabilities}
    mine = base["capabilities"]
    both = {name: value for name, value in mine.items() if name in capabilities}
    if "resources" in both and capabilities["resources"].get("subscribe") is not True:
        both["resources"] = _without(both["resources"], "subscribe")
    return {**_without(base, "instructions"), **identity, "capabilities": both}


def _info_of(listing: Listing) -> Mapping[str, Any] | None:
    meta = listing.initialize_result.get("_meta")
    info = listing.initialize_result.get("serverInfo") or (
        meta.get(types.SERVER_INFO_META_KEY) if isinstance(meta, dict) else None
    )
    return repair_server_info(info)


def _without(base: Json, name: str) -> Json:
    return {key: value for key, value in base.items() if key != name}


def _common(theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> Json:
    """Return the intersection of capabilities, with the values of `theirs`."""
    found: Json = {}
    for name, value in theirs.items():
        if name in mine:
            found[name] = _common(value, mine[name]) if isinstance(value, dict) and mine[name] else value
    return found


def _merge_capabilities(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Json:
    """Merge capabilities recursively; the first takes precedence."""
    joined = dict(mine)
    for name, value in theirs.items():
        if name not in joined and value is not None:
            joined[name] = value
        elif isinstance(value, dict) and isinstance(joined.get(name), dict):
            joined[name] = _merge_capabilities(joined[name], value)
    return joined
