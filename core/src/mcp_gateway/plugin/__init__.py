"""Everything that a plugin may import from the gateway, and nothing else."""

from mcp_gateway.plugin.errors import (
    AuthError,
    ConfigError,
    GatewayError,
    PluginError,
    QueryError,
    ServerTimeout,
    ServerUnavailable,
    StorageError,
)
from mcp_gateway.plugin.hookspecs import API_VERSION, PROJECT, hookimpl
from mcp_gateway.plugin.protocols import (
    AuthStrategy,
    ClientTransport,
    OneClient,
    Ranker,
    RankerIndex,
    ServerTransport,
    StorageBackend,
)
from mcp_gateway.plugin.provider import Bound, Options, Provider
from mcp_gateway.plugin.values import (
    ANONYMOUS,
    Caller,
    Credentials,
    Document,
    Hit,
    Hits,
    Parameter,
    Query,
    TransportFault,
)

__all__ = [
    "ANONYMOUS",
    "API_VERSION",
    "PROJECT",
    "AuthError",
    "AuthStrategy",
    "Bound",
    "Caller",
    "ClientTransport",
    "ConfigError",
    "Credentials",
    "Document",
    "GatewayError",
    "Hit",
    "Hits",
    "OneClient",
    "Options",
    "Parameter",
    "PluginError",
    "Provider",
    "Query",
    "QueryError",
    "Ranker",
    "RankerIndex",
    "ServerTimeout",
    "ServerTransport",
    "ServerUnavailable",
    "StorageBackend",
    "StorageError",
    "TransportFault",
    "hookimpl",
]
