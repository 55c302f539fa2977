"""Hook specifications: seven hooks, each called at most once at start-up.

No hook is ever called on the path of a request.

Hooks are plain functions that yield providers, variable sources or commands, without access to network, files or event
loop. The products that the providers build have async methods.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from mcp_gateway.plugin.auth import AuthStrategy
    from mcp_gateway.plugin.commands.command import Command
    from mcp_gateway.plugin.provider import Provider
    from mcp_gateway.plugin.ranker import Ranker
    from mcp_gateway.plugin.storage import StorageBackend
    from mcp_gateway.plugin.transport import ClientTransport, ServerTransport
    from mcp_gateway.plugin.variables import VariableSource

PROJECT = "mcp_gateway"
"""The pluggy project, the entry-point group, and the prefix of every hook."""

API_VERSION = 1
"""The version of this API. A plugin module declares `GATEWAY_API = 1`; a core with another version does not load it."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def mcp_gateway_client_transports() -> Iterable[Provider[Any, ClientTransport]]:
    """Yield client transports, selected by a server's `transport` key."""
    raise NotImplementedError


@hookspec
def mcp_gateway_server_transports() -> Iterable[Provider[Any, ServerTransport]]:
    """Yield server transports, selected by `GATEWAY_TRANSPORT`."""
    raise NotImplementedError


@hookspec
def mcp_gateway_auth_strategies() -> Iterable[Provider[Any, AuthStrategy]]:
    """Yield auth strategies, selected by a server's `auth_type` key."""
    raise NotImplementedError


@hookspec
def mcp_gateway_rankers() -> Iterable[Provider[Any, Ranker]]:
    """Yield rankers, selected by `GATEWAY_RANKER` or a search's `ranker`."""
    raise NotImplementedError


@hookspec
def mcp_gateway_storage_backends() -> Iterable[Provider[Any, StorageBackend]]:
    """Yield storage backends, selected by `STORAGE_BACKEND`."""
    raise NotImplementedError


@hookspec
def mcp_gateway_variable_sources() -> Iterable[VariableSource]:
    """Yield variable sources, selected by `${NAME:KEY}` in the configuration."""
    raise NotImplementedError


@hookspec
def mcp_gateway_commands() -> Iterable[Command]:
    """Yield commands of the command line; it is not called for serving."""
    raise NotImplementedError
