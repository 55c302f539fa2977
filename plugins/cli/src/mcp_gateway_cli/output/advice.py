"""What several commands say people may type next."""

from __future__ import annotations

from mcp_gateway.control.context import ControlContext
from mcp_gateway.plugin import ConfigError
from mcp_gateway.text.hints import NO_SERVERS


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
