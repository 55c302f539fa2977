"""What the gateway says of itself when it is greeted: what it can do, and what the servers behind it can do besides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mcp_types as types

from mcp_gateway.catalogue import Offer
from mcp_gateway.gateway import Gateway
from mcp_gateway.interaction import Json
from mcp_gateway.routing import Routing
from mcp_gateway.version import IMPLEMENTATION

_BESIDES = ("extensions", "experimental", "tasks")
"""Capabilities that the gateway has only if servers of the client's era have them."""


def described(seen: Routing, hello: Json, *, modern: bool) -> Json:
    """Complete the result of `initialize` or `server/discover` for a client who sees this."""
    offers = list(seen.catalogue.servers.values())
    only = offers[0] if offers and seen.transparent is not None else None
    if only is not None:
        return _in_place_of(only, hello, modern=modern)
    capabilities = dict(hello["capabilities"])
    for offer in offers:
        if offer.modern == modern:
            for name in _BESIDES:
                capabilities = _joined(capabilities, {name: offer.capabilities.get(name)})
    return {**hello, "capabilities": capabilities}


def server_info(gateway: Gateway) -> object:
    """Return how the gateway introduces itself: as the server, where clients are to see that instead."""
    offers = list(gateway.registry.catalogue.servers.values())
    if not offers or gateway.routing.transparent is None:
        return IMPLEMENTATION
    return _info_of(offers[0]) or IMPLEMENTATION


def _in_place_of(offer: Offer, hello: Json, *, modern: bool) -> Json:
    """Say what the only server said, as far as it holds in the client's era."""
    said: Json = {name: offer.hello[name] for name in ("instructions",) if name in offer.hello}
    if not modern and (info := _info_of(offer)) is not None:
        said["serverInfo"] = info
    if offer.modern == modern:
        return {**_without(hello, "instructions"), **said, "capabilities": offer.capabilities}
    both = {name: value for name, value in hello["capabilities"].items() if name in offer.capabilities}
    return {**_without(hello, "instructions"), **said, "capabilities": both}


def _info_of(offer: Offer) -> Mapping[str, Any] | None:
    meta = offer.hello.get("_meta")
    info = offer.hello.get("serverInfo") or (meta.get(types.SERVER_INFO_META_KEY) if isinstance(meta, dict) else None)
    return info if isinstance(info, dict) else None


def _without(hello: Json, name: str) -> Json:
    return {key: value for key, value in hello.items() if key != name}


def _joined(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Json:
    """Join what two can do; where both say something of the same, the first is right."""
    joined = dict(mine)
    for name, value in theirs.items():
        if name not in joined and value is not None:
            joined[name] = value
        elif isinstance(value, dict) and isinstance(joined.get(name), dict):
            joined[name] = _joined(joined[name], value)
    return joined
