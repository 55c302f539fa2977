"""Implementation info of the gateway: name, title, version."""

from __future__ import annotations

from importlib.metadata import version

NAME = "mcp-orchestration-gateway"
VERSION = version("mcp-gateway-core")
IMPLEMENTATION = {"name": NAME, "title": "MCP Orchestration Gateway", "version": VERSION}
"""The `clientInfo` that servers see and the `serverInfo` that clients see."""
