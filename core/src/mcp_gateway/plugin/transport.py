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
class SupportsRawRequest(Protocol):
    """Optional: a client transport's write stream that sends raw requests.

    Such requests bypass the MCP SDK, which saves most of the cost of a call. Without it every call takes the SDK path.
    """

    async def request_raw(self, message: bytes, request_id: int, headers: Mapping[str, str], seconds: float) -> bytes:
        """Send a raw JSON-RPC request; return the raw response.

        Both are JSON as bytes, with the same id.

        `headers` are the HTTP headers that the protocol era requires, unused over stdio. Other messages that arrive
        before the response take the SDK path, with `request_id` in their metadata if the transport knows the relation.
        Cancelling the call abandons the request.

        Raises:
            RequestNotSent: no byte can have reached the server; the request will be sent on the SDK path.
            TimeoutError: there was no response within `seconds`.
            ConnectionDropped: the connection closed after something was written and before the response.
            MCPError: a failure with a `TransportFault` code, as on the SDK path.
            ServerUnavailable: any other failure of the server.

        """
        ...


@runtime_checkable
class SupportsRawRequestNowait(Protocol):
    """Optional: raw requests that are sent at once, with a callback.

    Such a request needs no task, which is cheaper still.
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

        It does the same as `request_raw` if nothing has to be awaited first; otherwise it returns None, and nothing
        was sent. `done` is called once, later, with the response or one of the errors of `request_raw`, and never
        after the request was cancelled. The request times out after `seconds`.
        """
        ...


@runtime_checkable
class SupportsStart(Protocol):
    """Optional: a raw dispatch that can run without a task.

    It is implemented by what `SupportsRawDispatch.dispatch_raw` returns.
    """

    def start(self, done: Callable[[RawResponse], None]) -> bool:
        """Start at once, or return False without effect.

        After False it must be awaited instead. `done` is called once, later, with the response, and never after
        `cancel`.
        """
        ...

    def cancel(self, msg: object = None) -> object:
        """Cancel the dispatch; the signature is that of `asyncio.Task`."""
        ...


@runtime_checkable
class SupportsRawDispatch(Protocol):
    """Optional: dispatch of raw JSON-RPC messages without the SDK.

    The gateway's server implements it. A server transport may use it to be faster.
    """

    def dispatch_raw(
        self, message: bytes, headers: Mapping[str, str] | None = None, principal: Principal | None = None
    ) -> Awaitable[RawResponse] | None:
        """Return an awaitable response to a raw message, or None.

        None means that the message must go through the MCP SDK.

        `headers` are those of the HTTP request, in lower case and without duplicates; None means that the message came
        from the only client. `principal` is the authenticated sender, if any. Await the response in a task of its own:
        cancelling the task cancels the call. A response without a message means that the client has cancelled the
        request and expects none.
        """
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
