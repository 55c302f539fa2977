"""Errors of calls of tools that may not be called."""

from __future__ import annotations

from mcp_gateway.plugin import GatewayError


class ToolWithheld(GatewayError):
    """A call of a withheld tool.

    The tool's definition has changed without approval, or its name is reserved for another owner.
    """

    code = "tool_withheld"


class ToolForbidden(GatewayError):
    """A call of a tool that the configuration of its server forbids."""

    code = "tool_forbidden"
