"""Repair of what a server says of itself in its handshake.

A client that cannot read one field of it does not connect, and the gateway passes some on as its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp_gateway.catalog.repair.definitions import ICONS
from mcp_gateway.catalog.repair.shapes import BOOLEAN, NOTHING, OBJECT, TEXT, MapOf, Members

_CHANGING = Members({"listChanged": BOOLEAN})
_CAPABILITIES = Members(
    {
        **dict.fromkeys(("completions", "logging"), OBJECT),
        **dict.fromkeys(("experimental", "extensions"), MapOf(OBJECT)),
        **dict.fromkeys(("prompts", "tools"), _CHANGING),
        "resources": Members({"listChanged": BOOLEAN, "subscribe": BOOLEAN}),
        "tasks": Members({"list": OBJECT, "cancel": OBJECT, "requests": Members({"tools": Members({"call": OBJECT})})}),
    }
)
_IMPLEMENTATION = Members(
    {**dict.fromkeys(("title", "description", "websiteUrl"), TEXT), "icons": ICONS},
    required={"name": TEXT, "version": TEXT},
)


def repair_capabilities(capabilities: Mapping[str, Any]) -> dict[str, Any]:
    """Return the capabilities of a server as clients can read them."""
    repaired: dict[str, Any] = _CAPABILITIES.repair(dict(capabilities))
    return repaired


def repair_server_info(info: Any) -> Mapping[str, Any] | None:
    """Return a server's `serverInfo` as clients can read it, or None."""
    repaired = _IMPLEMENTATION.repair(info)
    return None if repaired is NOTHING else repaired
