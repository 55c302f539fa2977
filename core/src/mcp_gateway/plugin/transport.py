"""Protocols of transports, and of the fast path between them.

They are structural: a product need not inherit from them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from mcp.server import Server

    from mcp_gateway.plugin.values import Credentials, Principal, RawResponse


@runtime_checkable
class ClientTransport(Protocol):
    """Reaches one downstream server."""

    @property
    def carries_credentials(self) -> bool:
        """Whether credentials make a difference to the server.

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
    """Offers the gateway to clients."""

    async def serve(self, server: Server[Any], *, ready: Callable[[str], None]) -> None:
        """Serve until the client leaves or the task is cancelled.

        Call `ready` once, when clients can connect, with a line for people that says where.

        Raises:
            ConfigError: it cannot start: the port is taken, say.

        """
        ...


@runtime_checkable
class LazyServer(Protocol):
    """Placeholder for the MCP server while the SDK loads.

    Loading the whole MCP SDK takes a while.
    """

    def early_initialize(self, message: bytes) -> bytes | None:
        """Return the response to a single client's first message.

        None means that only the server can answer the message.

        The server must get the message all the same; what it answers is dropped, as the
        client has its answer.
        """
        ...

    async def load(self) -> Server[Any]:
        """Return the gateway's server; the first time, load what it needs."""
        ...


@runtime_checkable
class SupportsLazyServer(ServerTransport, Protocol):
    """Optional: a server transport with an early handshake.

    It serves a single client and can answer its handshake before the MCP server is loaded.
    """

    async def serve_lazy(self, lazy_server: LazyServer, *, ready: Callable[[str], None]) -> None:
        """Do as `serve` does, with the server that `lazy_server` will have."""
        ...


@runtime_checkable
class SupportsRawRequest(Protocol):
    """Optional: a client transport's write stream that sends raw requests.

    Such requests bypass the MCP SDK.

    It saves most of what a call costs. Without it everything works as well.
    """

    async def request_raw(self, message: bytes, request_id: int, headers: Mapping[str, str], seconds: float) -> bytes:
        """Send a raw JSON-RPC request; return the raw response.

        Both are JSON as bytes, with the same id.

        `headers` say over HTTP what a request of its era says in headers. Messages that
        come before the response go the SDK path, with `request_id` in their metadata
        where the transport knows it. Cancelled, it gives the request up.

        Raises:
            RequestNotSent: not a byte of it can have reached the server; it will be sent on the SDK path.
            TimeoutError: there was no response within so many seconds.
            ConnectionDropped: the connection closed before the response, and after something was written.
            MCPError: the answer in the server's place, by a `TransportFault`, as on the SDK path.
            ServerUnavailable: the server failed in any other way.

        """
        ...


@runtime_checkable
class SupportsRawRequestNowait(Protocol):
    """Optional: raw requests that are sent at once, with a callback.

    Such a request needs no task.
    """

    def request_raw_nowait(
        self,
        message: bytes,
        request_id: int,
        headers: Mapping[str, str],
        seconds: float,
        done: Callable[[bytes | Exception], None],
    ) -> Callable[[], None] | None:
        """Send a raw request without awaiting; return its cancel function.

        It does what `request_raw` does, if nothing has to be awaited first.

        None means that nothing was sent. `done` hears the response or one of the errors of `exchange`,
        later and once, and nothing any more once the request was given up: so it is after `seconds`.
        """
        ...


@runtime_checkable
class SupportsStart(Protocol):
    """Optional: a raw dispatch that can run without a task.

    It is what `SupportsRawDispatch.dispatch_raw` returns.
    """

    def start(self, done: Callable[[RawResponse], None]) -> bool:
        """Start at once, or return False without effect.

        After False it must be awaited.

        `done` hears the answer later and once, and nothing any more once it was given up.
        """
        ...

    def cancel(self, msg: object = None) -> object:
        """Give up what was begun; called as a task's method is."""
        ...


@runtime_checkable
class SupportsRawDispatch(Protocol):
    """Optional: dispatch of raw JSON-RPC messages without the SDK.

    For server transports that want to be fast.
    """

    def dispatch_raw(
        self, message: bytes, headers: Mapping[str, str] | None = None, principal: Principal | None = None
    ) -> Awaitable[RawResponse] | None:
        """Return an awaitable response to a raw message, or None.

        None means that the message must go through the MCP SDK.

        `headers` are those of its HTTP request, in lower case, none of them twice; None
        means that it came from the only client there is. `principal` is who has sent it, if
        an authorization server has said so. Await the answer in a task of
        its own: cancelling that gives the call up. An answer without a message means
        that the client does not want one any more.
        """
        ...


@runtime_checkable
class SingleClient(Protocol):
    """Optional: a server transport for one client, which initializes at once.

    The gateway then waits a moment for the client before it connects to the servers, so that
    they hear what it can do.
    """

    @property
    def single_client(self) -> bool:
        """Whether it serves a single client for all of its life."""
        ...
