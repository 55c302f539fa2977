"""The context in which commands run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from mcp_gateway.plugin.auth import AuthStrategy
    from mcp_gateway.plugin.provider import Bound


class GatewayClient(Protocol):
    """A client of a gateway, as a model's program is one."""

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Call a tool of the gateway; return the result as it came.

        The tools of servers are called as `server__tool`. A JSON-RPC error becomes a result with `isError`.
        """
        ...

    async def wait_for_servers(self, seconds: float) -> None:
        """Wait until every server has been listed or has failed."""
        ...


class CommandContext(Protocol):
    """What a command works with.

    Reading the configuration, at the first use, may raise ConfigError. What is printed by the methods here is escaped:
    text of servers cannot control the terminal.
    """

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment variables, completed by those of the `.env`."""
        ...

    @property
    def server_names(self) -> tuple[str, ...]:
        """The names of the servers that are configured and switched on."""
        ...

    def find_auth(self, server: str) -> Bound[AuthStrategy] | None:
        """Return the auth strategy of a server, or None.

        Raises:
            ConfigError: no such server is configured.

        """
        ...

    def open_client(self) -> AbstractAsyncContextManager[GatewayClient]:
        """Start a gateway in this process, and open a client of it."""
        ...

    def show(self, *lines: str, flush: bool = False) -> None:
        """Print lines on standard output."""
        ...

    def show_json(self, value: Any) -> None:
        """Print a value as JSON on standard output."""
        ...

    def complain(self, *lines: str) -> None:
        """Print lines on standard error."""
        ...
