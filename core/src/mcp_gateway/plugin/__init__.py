"""The plugin API: all that a plugin may import."""

from mcp_gateway.plugin.auth import (
    AuthStrategy,
    InteractiveAuth,
    RefreshableAuth,
    SharedCredentials,
    SupportsChallenge,
    SupportsLogout,
)
from mcp_gateway.plugin.channel import (
    ResponseHandler,
    ResponseWriter,
    ServerChannel,
    SupportsLastLine,
    SupportsPipes,
    SupportsRawDispatch,
    SupportsUnreadableOutput,
    open_stream_channel,
)
from mcp_gateway.plugin.commands.command import Argument, Command
from mcp_gateway.plugin.commands.context import CommandContext, GatewayClient
from mcp_gateway.plugin.errors import (
    AuthError,
    ConfigError,
    ConnectionDropped,
    GatewayError,
    LoginRequired,
    PluginError,
    QueryError,
    RequestNotSent,
    ServerTimeout,
    ServerUnavailable,
    StorageError,
    UsageError,
    VariableError,
)
from mcp_gateway.plugin.hookspecs import API_VERSION, PROJECT, hookimpl
from mcp_gateway.plugin.limits import MessageLimits, ServeOptions, SessionOptions, ShutdownOptions
from mcp_gateway.plugin.provider import Bound, Options, Provider
from mcp_gateway.plugin.ranker import BackgroundRanker, Ranker, RankerIndex, RefreshableIndex
from mcp_gateway.plugin.ranker_context import RankerContext
from mcp_gateway.plugin.server_url.options import UrlOptions, diagnose_url, resolve_entry_path
from mcp_gateway.plugin.storage import LeaseStorage, PubSubStorage, StorageBackend
from mcp_gateway.plugin.transport import (
    CHAIN_VARIABLE,
    ClientTransport,
    ExpectsClient,
    LazyServer,
    ServerTransport,
    SingleClient,
    SupportsLazyServer,
)
from mcp_gateway.plugin.utilities.atomic_files import write_file
from mcp_gateway.plugin.utilities.header_values import encode_header_value, has_control_characters
from mcp_gateway.plugin.utilities.json_text import replace_lone_surrogates, to_line, unwrap_message
from mcp_gateway.plugin.utilities.network import is_link_local, is_public
from mcp_gateway.plugin.utilities.peers import is_own_user
from mcp_gateway.plugin.utilities.proxies import can_connect_directly
from mcp_gateway.plugin.utilities.request_ids import read_own_id
from mcp_gateway.plugin.utilities.session_bus import name_session_bus
from mcp_gateway.plugin.utilities.ssrf import LinkLocalAddress, SsrfGuard
from mcp_gateway.plugin.utilities.time_limit import call_in_time
from mcp_gateway.plugin.utilities.tls import (
    CLIENT_CERTIFICATE_HINT,
    TlsContexts,
    TlsFiles,
    classify_tls_error,
    explain_tls_error,
)
from mcp_gateway.plugin.values import (
    ANONYMOUS,
    Caller,
    Credentials,
    Diagnosis,
    Document,
    Hit,
    Hits,
    Label,
    Match,
    Parameter,
    Principal,
    Query,
    RawResponse,
    TransportFault,
)
from mcp_gateway.plugin.variables import VariableSource

__all__ = [
    "ANONYMOUS",
    "API_VERSION",
    "CHAIN_VARIABLE",
    "CLIENT_CERTIFICATE_HINT",
    "PROJECT",
    "Argument",
    "AuthError",
    "AuthStrategy",
    "BackgroundRanker",
    "Bound",
    "Caller",
    "ClientTransport",
    "Command",
    "CommandContext",
    "ConfigError",
    "ConnectionDropped",
    "Credentials",
    "Diagnosis",
    "Document",
    "ExpectsClient",
    "GatewayClient",
    "GatewayError",
    "Hit",
    "Hits",
    "InteractiveAuth",
    "Label",
    "LazyServer",
    "LeaseStorage",
    "LinkLocalAddress",
    "LoginRequired",
    "Match",
    "MessageLimits",
    "Options",
    "Parameter",
    "PluginError",
    "Principal",
    "Provider",
    "PubSubStorage",
    "Query",
    "QueryError",
    "Ranker",
    "RankerContext",
    "RankerIndex",
    "RawResponse",
    "RefreshableAuth",
    "RefreshableIndex",
    "RequestNotSent",
    "ResponseHandler",
    "ResponseWriter",
    "ServeOptions",
    "ServerChannel",
    "ServerTimeout",
    "ServerTransport",
    "ServerUnavailable",
    "SessionOptions",
    "SharedCredentials",
    "ShutdownOptions",
    "SingleClient",
    "SsrfGuard",
    "StorageBackend",
    "StorageError",
    "SupportsChallenge",
    "SupportsLastLine",
    "SupportsLazyServer",
    "SupportsLogout",
    "SupportsPipes",
    "SupportsRawDispatch",
    "SupportsUnreadableOutput",
    "TlsContexts",
    "TlsFiles",
    "TransportFault",
    "UrlOptions",
    "UsageError",
    "VariableError",
    "VariableSource",
    "call_in_time",
    "can_connect_directly",
    "classify_tls_error",
    "diagnose_url",
    "encode_header_value",
    "explain_tls_error",
    "has_control_characters",
    "hookimpl",
    "is_link_local",
    "is_own_user",
    "is_public",
    "name_session_bus",
    "open_stream_channel",
    "read_own_id",
    "replace_lone_surrogates",
    "resolve_entry_path",
    "to_line",
    "unwrap_message",
    "write_file",
]
