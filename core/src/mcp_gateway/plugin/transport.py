"""Protocols of transports, and of the fast path between them.

They are structural: a product need not inherit from them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from mcp.server import Server

    from mcp_gateway.plugin.values import Credentials

CHAIN_VARIABLE = "MCP_GATEWAY_CHAIN"
"""The environment variable that names the gateways in front of a process.

A transport that starts processes must pass it on, so that a gateway that is started by itself knows it.
"""


@runtime_checkable
class ClientTransport(Protocol):
    """Transport to one downstream server."""

    @property
    def carries_credentials(self) -> bool:
        """Whether the transport sends credentials to the server.

        If not, all callers share one session.
        """
        ...

    def connect(self, credentials: Credentials) -> AbstractAsyncContextManager[Any]:
        """Return an unopened connection, a new one per session.

        Entered, it yields a `ServerChannel`, or the pair of streams that a transport of the SDK
        (`mcp.client.Transport`) yields. Entering it may raise `ServerUnavailable` or any other
        exception: the gateway says which server it was. Over the SDK's streams a request that
        cannot be delivered is best answered with a JSON-RPC error whose code is a
        `TransportFault`, and a transport that knows to which request a message of the server's
        belongs says so in the message's metadata
        (`ServerMessageMetadata(related_request_id=...)` of the SDK).
        """
        ...


@runtime_checkable
class ServerTransport(Protocol):
    """Transport that serves the gateway to clients."""

    async def serve(self, server: Server[Any], *, ready: Callable[[str], None]) -> None:
        """Serve until the client leaves or the task is cancelled.

        Call `ready` once when clients can connect, with the address in one line for people.

        Raises:
            ConfigError: it cannot start, for example because the port is in use.

        """
        ...


@runtime_checkable
class LazyServer(Protocol):
    """Placeholder for the MCP server while the SDK loads.

    Importing the whole MCP SDK takes about a second.
    """

    def early_initialize(self, message: bytes) -> bytes | None:
        """Return the response to a single client's first message.

        None means that only the server can answer the message.

        The server must receive the message in any case; its own response is dropped, because the client already has
        one.
        """
        ...

    async def load(self) -> Server[Any]:
        """Return the gateway's server, loading it at the first call."""
        ...


@runtime_checkable
class SupportsLazyServer(ServerTransport, Protocol):
    """Optional: a server transport with an early handshake.

    It serves a single client and can answer its handshake before the MCP server is loaded.
    """

    async def serve_lazy(self, lazy_server: LazyServer, *, ready: Callable[[str], None]) -> None:
        """Serve like `serve`, with the server that `lazy_server` loads."""
        ...


@runtime_checkable
class SingleClient(Protocol):
    """Optional: a server transport for one client, which initializes at once.

    The gateway then waits briefly for the client before it connects to the servers, so that it can send them the
    client's capabilities.
    """

    @property
    def single_client(self) -> bool:
        """Whether it serves a single client for its whole life."""
        ...


@runtime_checkable
class ExpectsClient(Protocol):
    """Optional: a server transport whose first client comes at once.

    The gateway waits for it as for that of `SingleClient`; others may follow.
    """

    @property
    def expects_client(self) -> bool:
        """Whether a client initializes as soon as it can."""
        ...
