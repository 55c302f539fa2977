"""What a plugin's products must be able to do. Structural: there is nothing to inherit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from mcp.client import Transport
    from mcp.server import Server

    from mcp_gateway.plugin.values import Caller, Credentials, DirectAnswer, Document, Hits, Principal, Query


@runtime_checkable
class ClientTransport(Protocol):
    """Reaches one downstream server."""

    @property
    def carries_credentials(self) -> bool:
        """Whether credentials make a difference; if not, all callers share one session."""
        ...

    def connect(self, credentials: Credentials) -> Transport:
        """Return an unopened transport of the MCP SDK; every session opens one of its own.

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
class Reception(Protocol):
    """What stands in for the gateway's server until that is there: it needs the whole MCP SDK, which takes a while."""

    def greet(self, message: bytes) -> bytes | None:
        """Return the answer to the very first message of the only client, or None: only the server can answer it.

        The server must get the message all the same; what it answers is dropped, as the
        client has its answer.
        """
        ...

    async def server(self) -> Server[Any]:
        """Return the gateway's server; the first time, load what it needs."""
        ...


@runtime_checkable
class EarlyTransport(ServerTransport, Protocol):
    """A server transport for a single client that can answer its greeting before the server is there. Optional."""

    async def serve_early(self, reception: Reception, *, ready: Callable[[str], None]) -> None:
        """Do as `serve` does, with the server that `reception` will have."""
        ...


@runtime_checkable
class DirectWire(Protocol):
    """What the write stream of a client transport's session may be besides: a wire for plain requests, past the SDK.

    It saves most of what a call costs. Without it everything works as well.
    """

    async def exchange(self, message: bytes, request_id: int, headers: Mapping[str, str], seconds: float) -> bytes:
        """Send a JSON-RPC request; return the response with the same id, both as bytes of JSON.

        `headers` say over HTTP what a request of its era says in headers. Messages that
        come before the response go the usual way, with `request_id` in their metadata
        where the transport knows it. Cancelled, it gives the request up.

        Raises:
            NotSent: not a byte of it can have reached the server; it will be sent in the usual way.
            TimeoutError: there was no response within so many seconds.
            ConnectionDropped: the connection closed before the response, and after something was written.
            MCPError: the answer in the server's place, by a `TransportFault`, as in the usual way.
            ServerUnavailable: the server failed in any other way.

        """
        ...


@runtime_checkable
class PromptWire(Protocol):
    """What a `DirectWire` may be besides: one that sends at once and calls back, so that a request needs no task."""

    def send_now(
        self,
        message: bytes,
        request_id: int,
        headers: Mapping[str, str],
        seconds: float,
        done: Callable[[bytes | Exception], None],
    ) -> Callable[[], None] | None:
        """Send a request as `exchange` does, if nothing has to be waited for first; return what gives it up.

        None means that nothing was sent. `done` hears the response or one of the errors of `exchange`,
        later and once, and nothing any more once the request was given up: so it is after `seconds`.
        """
        ...


@runtime_checkable
class PromptAnswer(Protocol):
    """What `DirectServer.answer` returns may be besides: an answer that can be had without a task."""

    def begin(self, done: Callable[[DirectAnswer], None]) -> bool:
        """Begin at once; False means that nothing was done: then it must be awaited.

        `done` hears the answer later and once, and nothing any more once it was given up.
        """
        ...

    def cancel(self, msg: object = None) -> object:
        """Give up what was begun; called as a task's method is."""
        ...


@runtime_checkable
class DirectServer(Protocol):
    """What the gateway's server is besides, for server transports that want to be fast."""

    def answer(
        self, message: bytes, headers: Mapping[str, str] | None = None, principal: Principal | None = None
    ) -> Awaitable[DirectAnswer] | None:
        """Return what will answer a JSON-RPC message, or None: then it must go to the server in the usual way.

        `headers` are those of its HTTP request, in lower case, none of them twice; None
        means that it came from the only client there is. `principal` is who has sent it, if
        an authorization server has said so. Await the answer in a task of
        its own: cancelling that gives the call up. An answer without a message means
        that the client does not want one any more.
        """
        ...


@runtime_checkable
class OneClient(Protocol):
    """What a server transport may be besides: one that serves a single client, which greets at once.

    The gateway then waits a moment for the client before it greets the servers, so that
    they hear what it can do.
    """

    @property
    def one_client(self) -> bool:
        """Whether it serves a single client for all of its life."""
        ...


@runtime_checkable
class AuthStrategy(Protocol):
    """Decides which credentials a call carries downstream."""

    async def credentials(self, caller: Caller) -> Credentials:
        """Return this caller's credentials; equal callers must get equal credentials.

        Raises:
            AuthError: the caller brought none and the strategy has none.
            LoginNeeded: a person has to log in first; the error says where.

        """
        ...


@runtime_checkable
class SharedAuth(AuthStrategy, Protocol):
    """A strategy whose credentials are the gateway's own, whoever the caller is. Optional.

    What a server offers for credentials that not all callers have is shown to those only
    who have them. So the gateway compares a caller's with an anonymous one's, at every search
    say, unless it is told here that there is no difference but by an `override`.
    """

    @property
    def shared(self) -> bool:
        """Whether all callers have the same credentials."""
        ...


@runtime_checkable
class RenewableAuth(AuthStrategy, Protocol):
    """A strategy whose credentials may be refused though they looked good, and then replaced. Optional."""

    async def refused(self, credentials: Credentials) -> bool:
        """Take note that the server refused these credentials (HTTP 401); say whether there are others now."""
        ...


@runtime_checkable
class InteractiveAuth(AuthStrategy, Protocol):
    """A strategy with which a person can log in. Optional."""

    async def login(self, show: Callable[[str], None]) -> None:
        """Call `show` with the link by which a person logs in; return once somebody has.

        Raises:
            AuthError: it cannot be logged in to in this way.

        """
        ...


@runtime_checkable
class RankerIndex(Protocol):
    """An immutable index over the documents that it was built from."""

    async def search(self, query: Query) -> Hits:
        """Return the best hits, best first, ties by id; documents that do not match are left out.

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
    """An index that can be brought up to date server by server. Optional: others are built anew."""

    async def refresh(self, changed: Mapping[str, Sequence[Document]]) -> RankerIndex:
        """Return an index in which the documents of the servers in `changed` are replaced by those given.

        None are given for a server that is gone, and a server may be new. This index
        itself does not change, and the new one answers as one that was built anew.
        """
        ...


@runtime_checkable
class SlowRanker(Ranker, Protocol):
    """A ranker whose `build` or `refresh` may take longer than a search can wait. Optional.

    The gateway then builds in the background and searches what `build_meanwhile` returns
    until that is done. What `build` returns is complete, as ever.
    """

    async def build_meanwhile(self, documents: Sequence[Document]) -> RankerIndex:
        """Return within a moment an index of the same documents that answers as well as it can."""
        ...


@runtime_checkable
class StorageBackend(Protocol):
    """A flat map of bytes with optional expiry. Keys are text, values are opaque.

    Every method may raise `StorageError`, and gives up within a few seconds.
    """

    async def get(self, key: str) -> bytes | None:
        """Return the value of `key`, or None if there is none or it has expired."""
        ...

    async def set(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        """Set `key`, replacing value and expiry; `ttl` is in seconds, None keeps it for good."""
        ...

    async def delete(self, key: str) -> bool:
        """Forget `key`; say whether it was there."""
        ...

    def keys(self, prefix: str) -> AsyncIterator[str]:
        """Iterate over every live key that starts with `prefix`, each once, in no set order."""
        ...


@runtime_checkable
class LeasingStorage(StorageBackend, Protocol):
    """A storage backend that several gateways share and that can lend a key to one of them. Optional.

    The gateways then ask each server once, not each of them; without it they all ask.
    """

    async def lease(self, key: str, holder: bytes, *, ttl: float) -> bytes:
        """Give `key` to `holder` for `ttl` seconds, unless another has it; return who has it now.

        One step for all who share the storage. Whoever has the key already keeps it for
        `ttl` seconds from now. Nobody else sets the key, and what has expired is free.
        """
        ...

    async def release(self, key: str, holder: bytes) -> bool:
        """Give `key` back if `holder` still has it, in one step; say whether it had."""
        ...


@runtime_checkable
class AnnouncingStorage(StorageBackend, Protocol):
    """A storage backend that several gateways share and that carries messages between them. Optional.

    The gateways then hear at once what one of them learned; without it, when what they know has expired.
    """

    async def announce(self, channel: str, message: bytes) -> None:
        """Send a message to all who listen to `channel` now, the sender among them. It may be lost."""
        ...

    def announcements(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Listen to `channel`: every message that is sent while the context is entered, in order.

        The iteration has no end. It raises `StorageError` as soon as a message may have
        been lost, a lost connection say: the gateway then enters a new one, and looks
        for itself what it has missed. A silent connection must be noticed within a minute.
        """
        ...
