"""Names of tools that are known without any server."""

from __future__ import annotations

from collections.abc import Iterator

import anyio

from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.gateways.tool_names import ask_tool_names
from mcp_gateway.pinning.store import list_pinned_tools
from mcp_gateway.protocol.tool_names import full_names
from mcp_gateway_cli.entries.server_file import open_entries

_SECONDS = 0.3
"""How long running gateways may take to answer."""


def list_known_tools(context: ControlContext) -> Iterator[str]:
    """Yield full names: those of running gateways, or of files of pins."""
    if running := anyio.run(ask_tool_names, _SECONDS):
        yield from running
        return
    environment = context.environment
    max_name = environment.max_name if "max_name" in environment.model_fields_set else None
    for entry in open_entries(context).entries:
        namespace = entry.settled.get("namespace", entry.name)
        pinned = list_pinned_tools(entry.name, environment.state)
        yield from full_names(namespace, pinned, max_name).values()
