"""What several commands say people may type next."""

from __future__ import annotations

from mcp_gateway.control.context import ControlContext
from mcp_gateway.plugin import ConfigError
from mcp_gateway.protocol.implementation import NAME

NO_SERVERS = (
    f"no servers are configured; take those of your programs: {NAME} init; or add one: {NAME} add NAME -- COMMAND"
)
"""Where there are no servers."""


def has_servers(context: ControlContext) -> bool:
    """Whether the configuration has servers, whatever their state."""
    return bool(context.servers.specs or context.servers.disabled)


def require_servers(context: ControlContext) -> None:
    """Say what to do if there are no servers.

    Raises:
        ConfigError: there are none.

    """
    if not has_servers(context):
        raise ConfigError(NO_SERVERS)
