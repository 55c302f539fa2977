"""How tools and remarks are printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcp_gateway.catalog.server_health import State
from mcp_gateway.control.terminal import show
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway.text.name_lists import clip, fit_names

Json = dict[str, Any]

_MAX_NAMES = 300
"""How many characters the names of servers may have in a remark."""


_MAX_SUMMARY = 160
"""How many characters of a description a list shows."""


def print_tool(tool: Json) -> None:
    """Print a tool: its name, its arguments and what it does."""
    summary = " ".join(tool["description"].split())
    required = ", ".join(_parameters(tool["input_schema"]))
    show(f"  {tool['tool_name']}({required})", f"      {clip(summary, _MAX_SUMMARY)}")


def _parameters(schema: Any) -> list[str]:
    """Return the argument names; optional ones end with a question mark."""
    if not isinstance(schema, dict) or not isinstance(schema.get("properties"), dict):
        return []
    listed = schema.get("required")
    required = listed if isinstance(listed, list) else []
    return [name if name in required else f"{name}?" for name in schema["properties"]]


def print_notes(notes: list[str], down: Sequence[str] = ()) -> None:
    """Print remarks, with one line for all servers `down`."""
    for note in notes:
        if not note.startswith(tuple(f"{name}: {State.DOWN} since" for name in down)):
            show(f"note: {note}")
    if down:
        show(f"note: {describe_down(down)}")


def describe_down(servers: Sequence[str]) -> str:
    """Describe which servers are down, and where the reasons are."""
    names = fit_names([(name, "") for name in servers], _MAX_NAMES, lambda name, _: name, ", ")
    count = f"{len(servers)} server{' is' if len(servers) == 1 else 's are'} down"
    return f"{count}: {names}; for the reasons: {NAME} servers --start"
