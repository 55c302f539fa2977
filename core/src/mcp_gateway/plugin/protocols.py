"""Protocols of plugin products; structural, without inheritance."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from mcp.client import Transport
    from mcp.server import Server

    from mcp_gateway.plugin.values import Caller, Credentials, Document, Hits, Principal, Query, RawResponse


@runtime_checkable
class ClientTransport(Protocol):
    """Reaches one downstream server."""

    @property
    def carries_credentials(self) -> bool:
        """Whether credentials make a difference to the server.

        If not, all callers share one session.
        """
        ...

    def connect(self, credentials: Credentials) -> Transport:
        """Return an unopened SDK transport, a new one per session.

        Entering it may raise `ServerUnavailable` or any other exception: the gateway
        says which server it was. A request that cannot be delivered is best answered
        with a JSON-RPC error whose code is a `TransportFault`. A transport that knows to
        which request a message of the server's belongs says so in the message's metadata
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


@runtime_checkable
class AuthStrategy(Protocol):
    """Decides which credentials a call carries downstream."""

    async def credentials(self, caller: Caller) -> Credentials:
        """Return this caller's credentials; equal callers must get equal credentials.

        Raises:
            AuthError: the caller brought none and the strategy has none.
            LoginRequired: a person has to log in first; the error says where.

        """
        ...


@runtime_checkable
class SharedCredentials(AuthStrategy, Protocol):
    """Optional: a strategy with the same credentials for every caller.

    What a server offers for credentials that not all callers have is shown to those only
    who have them. So the gateway compares a caller's with an anonymous one's, at every search
    say, unless it is told here that there is no difference but by an `override`.
    """

    @property
    def same_for_all(self) -> bool:
        """Whether all callers have the same credentials."""
        ...


@runtime_checkable
class RefreshableAuth(AuthStrategy, Protocol):
    """Optional: a strategy that can refresh rejected credentials.

    They looked valid before the server rejected them.
    """

    async def refresh(self, credentials: Credentials) -> bool:
        """Refresh credentials that the server rejected; return whether that succeeded.

        The server answered with HTTP 401.
        """
        ...


@runtime_checkable
class InteractiveAuth(AuthStrategy, Protocol):
    """A strategy with which a person can log in. Optional."""

    async def login(self, show: Callable[[str], None]) -> None:
        """Call `show` with the login link and await the login.

        Raises:
            AuthError: it cannot be logged in to in this way.

        """
        ...


@runtime_checkable
class RankerIndex(Protocol):
    """An immutable index over the documents that it was built from."""

    async def search(self, query: Query) -> Hits:
        """Return the best hits in descending order, ties by id.

        Documents that do not match are left out.

        Raises:
            QueryError: the query is malformed for this ranker.

        """
        ...


@runtime_checkable
class Ranker(Protocol):
    """Builds indexes."""

    async def build(self, documents: Sequence[Document]) -> RankerIndex:
        """Index `documents`, which may be empty. Earlier indexes stay valid.

        CPU work of more than 10 ms belongs in a thread (`anyio.to_thread.run_sync`).
        """
        ...


@runtime_checkable
class RefreshableIndex(RankerIndex, Protocol):
    """Optional: an index with incremental updates per server.

    Other indexes are rebuilt.
    """

    async def refresh(self, changed: Mapping[str, Sequence[Document]]) -> RankerIndex:
        """Return an index with the documents of `changed` servers replaced.

        None are given for a server that is gone, and a server may be new. This index
        itself does not change, and the new one answers as one that was built anew.
        """
        ...


@runtime_checkable
class BackgroundRanker(Ranker, Protocol):
    """Optional: a ranker with builds too slow for a search.

    A build is a `build` or a `refresh`.

    The gateway then builds in the background and searches what `build_interim` returns
    until that is done. What `build` returns is complete, as ever.
    """

    async def build_interim(self, documents: Sequence[Document]) -> RankerIndex:
        """Return a quick interim index of the documents.

        It takes a moment only, and answers as well as it can.
        """
        ...


@runtime_checkable
class StorageBackend(Protocol):
    """A flat key-value store with optional expiry.

    Keys are text, values are opaque bytes.

    Every method may raise `StorageError`, and gives up within a few seconds.
    """

    async def get(self, key: str) -> bytes | None:
        """Return the value of `key`, or None if missing or expired."""
        ...

    async def set(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        """Set the value and expiry of `key`.

        `ttl` is in seconds; None means no expiry.
        """
        ...

    async def delete(self, key: str) -> bool:
        """Forget `key`; say whether it was there."""
        ...

    def keys(self, prefix: str) -> AsyncIterator[str]:
        """Yield every live key that starts with `prefix`.

        Each key comes once; the order is undefined.
        """
        ...


@runtime_checkable
class LeaseStorage(StorageBackend, Protocol):
    """Optional: shared storage with leases.

    It can lease a key to one of the gateways that share it.

    The gateways then ask each server once, not each of them; without it they all ask.
    """

    async def lease(self, key: str, holder: bytes, *, ttl: float) -> bytes:
        """Lease `key` to `holder`, unless leased; return the current holder.

        The lease expires after `ttl` seconds.

        One step for all who share the storage. Whoever has the key already keeps it for
        `ttl` seconds from now. Nobody else sets the key, and what has expired is free.
        """
        ...

    async def release(self, key: str, holder: bytes) -> bool:
        """Release the lease if `holder` has it; return whether it did.

        The operation is atomic.
        """
        ...


@runtime_checkable
class PubSubStorage(StorageBackend, Protocol):
    """Optional: shared storage with publish/subscribe.

    It carries messages between the gateways that share it.

    The gateways then hear at once what one of them learned; without it, when what they know has expired.
    """

    async def publish(self, channel: str, message: bytes) -> None:
        """Publish a message to all current subscribers, the sender included.

        The message may be lost.
        """
        ...

    def subscribe(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Subscribe to `channel` while the context is open.

        Every message that is sent in this time comes, in order.

        The iteration has no end. It raises `StorageError` as soon as a message may have
        been lost, a lost connection say: the gateway then enters a new one, and looks
        for itself what it has missed. A silent connection must be noticed within a minute.
        """
        ...
