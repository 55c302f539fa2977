"""The gateway's instructions, capabilities and `serverInfo`.

The capabilities include some of the servers behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import mcp_types as types

from mcp_gateway.catalog.resolver import Routing
from mcp_gateway.catalog.snapshot import Offer
from mcp_gateway.config.servers import ServerSpec
from mcp_gateway.gateway.gateway import Gateway
from mcp_gateway.gateway.tasks import EXTENSION
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.protocol.implementation import IMPLEMENTATION

_TASKS: Json = {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}
"""All that the gateway can do with tasks of the handshake era, as their capability says it."""


MAX_DESCRIBED = 1500
"""How many characters the servers may take in a tool's description."""


def described(seen: Routing, hello: Json, *, modern: bool) -> Json:
    """Complete the `initialize` or `server/discover` result for a caller."""
    offers = list(seen.catalogue.servers.values())
    only = offers[0] if offers and seen.transparent is not None else None
    if only is not None:
        return _in_place_of(only, hello, modern=modern)
    capabilities = dict(hello["capabilities"])
    for offer in offers:
        if offer.modern == modern:
            capabilities = _joined(capabilities, _passing(offer))
    return {**hello, "capabilities": capabilities}


def _passing(offer: Offer) -> Json:
    """Return what a server among others can do that the gateway passes on: tasks.

    Requests of other extensions, and of what is experimental, pass to an only server:
    among several nobody knows whose they are, so they are not declared.
    """
    tasks, extensions = offer.capabilities.get("tasks"), offer.capabilities.get("extensions")
    passing: Json = {}
    if isinstance(tasks, dict):
        passing["tasks"] = _common(tasks, _TASKS)
    if isinstance(extensions, dict) and EXTENSION in extensions:
        passing["extensions"] = {EXTENSION: extensions[EXTENSION]}
    return passing


def instructions_of(gateway: Gateway) -> str:
    """Return what a client is told of the gateway now."""
    registry = gateway.registry
    about = {name: offer.about for name, offer in registry.catalogue.servers.items()}
    return instructions(registry.specs.values(), about, registry.notices)


def instructions(specs: Iterable[ServerSpec], about: Mapping[str, str], notices: Sequence[str] = ()) -> str:
    """Return the gateway's instructions: its servers and their descriptions."""
    lines = [_line(spec.name, spec.description or about.get(spec.name, "")) for spec in specs]
    told = cut([f"Note for the user: {_clipped(notice, 600)}." for notice in notices], MAX_DESCRIBED * 2)
    if not lines:
        empty = "This gateway has no servers configured yet; list them in its server_config.json."
        return "\n".join([empty, *told])
    return "\n".join(
        [
            "This gateway gives access to the tools of the servers below without listing them all.",
            "Find tools with tool_search, then call them by their full name with call_remote_tool.",
            *cut(lines, MAX_DESCRIBED * 4),
            *told,
        ]
    )


def server_info(gateway: Gateway) -> object:
    """Return `serverInfo`: the gateway's, or that of a transparent server.

    Clients see a transparent server as if there were no gateway.
    """
    offers = list(gateway.registry.catalogue.servers.values())
    if not offers or gateway.routing.transparent is None:
        return IMPLEMENTATION
    return _info_of(offers[0]) or IMPLEMENTATION


def _line(name: str, about: str) -> str:
    return f"- {name}: {_clipped(about)}" if about else f"- {name}"


def _clipped(text: str, most: int = 200) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def cut(parts: list[str], most: int) -> list[str]:
    """Truncate a list to `most` characters, counting the rest."""
    kept: list[str] = []
    for part in parts:
        if sum(map(len, kept)) + len(part) > most:
            return [*kept, f"and {len(parts) - len(kept)} more"]
        kept.append(part)
    return kept


def _in_place_of(offer: Offer, hello: Json, *, modern: bool) -> Json:
    """Build the handshake result from the only server's.

    It has what is valid in the client's era.
    """
    said: Json = {name: offer.hello[name] for name in ("instructions",) if name in offer.hello}
    if not modern and (info := _info_of(offer)) is not None:
        said["serverInfo"] = info
    if offer.modern == modern:
        return {**_without(hello, "instructions"), **said, "capabilities": offer.capabilities}
    mine = hello["capabilities"]
    both = {name: value for name, value in mine.items() if name in offer.capabilities}
    if "resources" in both and not _subscribes(offer):
        both["resources"] = _without(both["resources"], "subscribe")
    return {**_without(hello, "instructions"), **said, "capabilities": both}


def _subscribes(offer: Offer) -> bool:
    declared = offer.capabilities.get("resources")
    return isinstance(declared, dict) and declared.get("subscribe") is True


def _info_of(offer: Offer) -> Mapping[str, Any] | None:
    meta = offer.hello.get("_meta")
    info = offer.hello.get("serverInfo") or (meta.get(types.SERVER_INFO_META_KEY) if isinstance(meta, dict) else None)
    return info if isinstance(info, dict) else None


def _without(hello: Json, name: str) -> Json:
    return {key: value for key, value in hello.items() if key != name}


def _common(theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> Json:
    """Return what two can both do, as the first says it."""
    found: Json = {}
    for name, value in theirs.items():
        if name in mine:
            found[name] = _common(value, mine[name]) if isinstance(value, dict) and mine[name] else value
    return found


def _joined(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Json:
    """Merge capabilities recursively; the first takes precedence."""
    joined = dict(mine)
    for name, value in theirs.items():
        if name not in joined and value is not None:
            joined[name] = value
        elif isinstance(value, dict) and isinstance(joined.get(name), dict):
            joined[name] = _joined(joined[name], value)
    return joined
