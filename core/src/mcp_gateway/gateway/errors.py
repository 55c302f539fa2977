"""Errors of requests that go to no server."""

from __future__ import annotations

from collections.abc import Sequence

from mcp_gateway.plugin import GatewayError

_MOST_NAMED = 5


class ToolWithheld(GatewayError):
    """A call of a withheld tool.

    The tool's definition has changed without approval, or its name is reserved for another owner.
    """

    code = "tool_withheld"


class ToolForbidden(GatewayError):
    """A call of a tool that the configuration of its server forbids."""

    code = "tool_forbidden"


class UnknownMethod(GatewayError):
    """A request with a method that no server here supports.

    It can happen because the transparent server was declared to the client before other servers were configured.
    """

    code = "unknown_method"

    def __init__(self, method: str, servers: Sequence[str]) -> None:
        """Tell which servers there are; `servers` are their names."""
        names = ", ".join(repr(name) for name in servers[:_MOST_NAMED]) or "none"
        here = f"{names} and {len(servers) - _MOST_NAMED} more" if len(servers) > _MOST_NAMED else names
        super().__init__(
            f"no server here takes {method!r}: what the gateway itself does not know it passes on only while one "
            f'server stands alone behind it, with "namespace": null and "expose_tools": true; servers now: {here}'
        )
