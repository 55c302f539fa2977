"""Lengths of the list of tools that clients and models cope with."""

from __future__ import annotations

from collections.abc import Collection

from mcp_gateway.catalog.reservations import transparent_server
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.protocol.tool_names import OWN_TOOLS

_LEVELS = (
    (128, "OpenAI and VS Code refuse more"),
    (80, "several clients leave out the rest"),
    (40, "models choose worse among so many, and some clients leave out the rest"),
)


def long_list_level(count: int) -> int:
    """Return the greatest level that a count passes, or 0."""
    return next((level for level, _ in _LEVELS if count > level), 0)


def describe_long_list(count: int) -> str:
    """Warn of a long list of tools; empty for a short one."""
    level = long_list_level(count)
    if not level:
        return ""
    return (
        f"{count} tools are listed natively, which is more than {level}: {dict(_LEVELS)[level]}; "
        'set "expose_tools" for fewer servers, or leave out tools with "tools"'
    )


def count_builtin_tools(specs: Collection[ServerSpec]) -> int:
    """Return how many of the listed tools are the gateway's own."""
    return 0 if transparent_server(specs) is not None else len(OWN_TOOLS)
