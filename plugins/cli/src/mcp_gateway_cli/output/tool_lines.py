"""How tools and remarks are printed."""

from __future__ import annotations

from typing import Any

from mcp_gateway.control.terminal import show

Json = dict[str, Any]


def print_tool(tool: Json) -> None:
    """Print a tool: its name, its arguments and what it does."""
    summary = " ".join(tool["description"].split())
    required = ", ".join(_parameters(tool["input_schema"]))
    show(f"  {tool['tool_name']}({required})", f"      {summary[:160]}")


def _parameters(schema: Any) -> list[str]:
    """Return the argument names; optional ones end with a question mark."""
    if not isinstance(schema, dict) or not isinstance(schema.get("properties"), dict):
        return []
    listed = schema.get("required")
    required = listed if isinstance(listed, list) else []
    return [name if name in required else f"{name}?" for name in schema["properties"]]


def print_notes(notes: list[str]) -> None:
    """Print remarks, a line each."""
    for note in notes:
        show(f"note: {note}")
