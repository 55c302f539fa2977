"""Client connection to a server of either era, in raw JSON.

Every message goes over the transport's channel as bytes. It does not use the SDK's `ClientSession`, whose models drop
unknown fields.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import anyio
import mcp_types as types
import structlog
from anyio.abc import TaskGroup
from mcp.shared.exceptions import MCPError
from mcp_types.version import LATEST_MODERN_VERSION
from msgspec import UNSET

from mcp_gateway.client.announcements import AnnouncedFn, Announcements
from mcp_gateway.client.in_flight import InFlightRequest
from mcp_gateway.client.server_messages import ServerMessageRouter
from mcp_gateway.client.server_requests import ServerRequests
from mcp_gateway.loops.chain import HEADER, META_KEY
from mcp_gateway.plugin import RequestNotSent, ServerChannel, ServerUnavailable, open_stream_channel
from mcp_gateway.protocol._sdk import Transport
from mcp_gateway.protocol.client_channel import LEVELS, Json
from mcp_gateway.protocol.envelope import encode_notification, encode_request, parse_result, parse_server_message
from mcp_gateway.protocol.headers import routing_headers, version_headers
from mcp_gateway.protocol.implementation import IMPLEMENTATION
from mcp_gateway.protocol.raw_json import NO_MEMBERS, Fields, encode

log = structlog.get_logger(__name__)

_CANCELLED = "notifications/cancelled"

# A server that does not read must not keep the task of a cancellation for ever.
_CANCEL_SECONDS = 2.0


@dataclass(slots=True, eq=False)
class _Response:
    """The `ResponseHandler` of a request that a task waits for."""

    connection: Connection
    future: asyncio.Future[bytes]

    def on_message(self, message: bytes) -> None:
        # It relates to the gateway's request, so it must not be taken for a message to a client with one in flight.
        self.connection.on_message(message, InFlightRequest())

    def on_response(self, response: bytes) -> None:
        if not self.future.done():
            self.future.set_result(response)

    def on_failure(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(slots=True)
class Connection:
    """An MCP client connection to a server; see `open_connection`.

    `closed` is set when the connection ends. `ids` yields request ids. `announcements` receives the notifications that
    relate to no client's request, `router` those that do, and the server's requests. `modern`: the server speaks
    2026-07-28; otherwise requests have the `handshake_headers`, of which there are none before the handshake.
    """

    channel: ServerChannel
    tasks: TaskGroup
    router: ServerMessageRouter = field(default_factory=ServerMessageRouter)
    announcements: Announcements = field(default_factory=Announcements)
    closed: anyio.Event = field(default_factory=anyio.Event)
    is_closed: bool = False
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop, repr=False)
    version: str = ""
    modern: bool = False
    handshake_headers: Mapping[str, str] = field(default_factory=dict)
    initialize_result: Json = field(default_factory=dict)
    ids: Iterator[int] = field(default_factory=lambda: count(1))
    server_requests: ServerRequests = field(init=False)
    server: str = ""
    dropped: int = 0  # messages of the server that were unreadable, or responses without a request
    _level: str | None = None

    def __post_init__(self) -> None:
        """Connect the router with the channel."""
        self.server_requests = ServerRequests(self._send_message, self.tasks, self.router)
        self.router.backpressure.set_paused = lambda paused: self.channel.set_reading_paused(paused=paused)

    def set_version(self, version: str, result: Json) -> None:
        """Take the server's version, and what it says of itself.

        2026-07-28 has no handshake; every request carries an envelope in `_meta` instead.
        """
        self.version, self.initialize_result = version, result
        self.modern, self.handshake_headers = version == LATEST_MODERN_VERSION, version_headers(version)

    async def request(self, method: str, params: Json, *, capabilities: Mapping[str, Any] | None = None) -> Json:
        """Send a request of the gateway's own; return the unmodified result.

        `capabilities` are those of the client for whom it is, for a modern server; a handshake-era server got them at
        the handshake.

        Raises:
            ServerError: the server answered with an error.
            MCPError: the transport answered in the server's place, by a `TransportFault`.
            ServerUnavailable: the request did not get through, or the connection closed.

        """
        return parse_result(await self.request_raw(method, params, capabilities=capabilities))

    async def request_raw(self, method: str, params: Json, *, capabilities: Mapping[str, Any] | None = None) -> bytes:
        """Send a request of the gateway's own; return the undecoded response.

        Raises:
            MCPError: the transport answered in the server's place, by a `TransportFault`.
            ServerUnavailable: the request did not get through, or the connection closed.

        """
        request_id = next(self.ids)
        if self.modern:
            return await self._send_modern_raw(method, params, request_id, capabilities)
        return await self._send_raw(method, params, self.handshake_headers, request_id)

    async def set_log_level(self, level: str | None, *, fewer: bool = False) -> None:
        """Set the log level of a handshake-era server.

        A level less verbose than the current one is set only if `fewer`, because other clients of the session may
        rely on the current one.
        """
        if level is None or not self.lacks_log_level(level, fewer=fewer):
            return
        # Set before the request, so that calls that begin meanwhile do not send the same level again.
        self._level = level
        try:
            await self.request("logging/setLevel", {"level": level})
        except MCPError as error:
            log.info("log level rejected", requested=level, reason=error.error.message)

    def lacks_log_level(self, level: str | None, *, fewer: bool = False) -> bool:
        """Whether the server does not send messages of this level yet."""
        if level is None or level == self._level or self.modern or not self.declares("logging"):
            return False
        return self._level is None or fewer or LEVELS.index(level) <= LEVELS.index(self._level)

    async def notify(self, method: str, params: Json | None = None) -> None:
        """Send a notification to a handshake-era server; the modern era has none."""
        if not self.modern:
            await self._send_message(encode_notification(method, params))

    def cancel_request(self, request_id: int) -> None:
        """Notify the server in a task that a request is cancelled."""
        if not self.closed.is_set():
            self.tasks.start_soon(self._send_cancelled, request_id)

    async def _send_cancelled(self, request_id: int) -> None:
        message = encode_notification(_CANCELLED, {"requestId": request_id})
        with anyio.move_on_after(_CANCEL_SECONDS):
            try:
                await self._send_message(message)
            except (MCPError, ServerUnavailable) as error:
                log.debug("cancellation not delivered", reason=str(error))

    def declares(self, capability: str) -> bool:
        """Whether the server declared a capability."""
        return capability in self.server_capabilities

    @property
    def server_capabilities(self) -> Json:
        """The capabilities that the server declared."""
        capabilities = self.initialize_result.get("capabilities")
        return capabilities if isinstance(capabilities, dict) else {}

    # -- what the server sends

    def on_message(self, message: bytes, exchange: InFlightRequest | None = None) -> None:
        """Handle a notification or request of the server.

        `exchange` is the request on whose stream it came, if the transport knows.
        """
        try:
            parsed = parse_server_message(message)
            if parsed.method is UNSET:
                self._drop_unexpected("response without a request")
            elif parsed.id is not UNSET and bytes(parsed.id) != b"null":
                self.server_requests.on_request(parsed, len(message), exchange)
            else:
                self._on_notification(parsed.method, parsed.params or NO_MEMBERS, exchange)
        except ValueError:
            self._drop_unexpected("unreadable")

    def _on_notification(self, method: str, params: Fields, exchange: InFlightRequest | None) -> None:
        if method == _CANCELLED:
            self.server_requests.on_cancelled(bytes(params.get("requestId", b"")))
        elif not self.announcements.on_notification(method, params):
            self.router.on_notification(method, params, exchange)

    def on_close(self) -> None:
        """Handle the end of the connection."""
        self.is_closed = True
        self.closed.set()
        self.router.backpressure.close()

    def _drop_unexpected(self, reason: str) -> None:
        self.dropped += 1
        # Logged at powers of two only: a server that floods the session must not flood the log.
        if self.dropped & (self.dropped - 1) == 0:
            log.info("message dropped", server=self.server, reason=reason, messages=self.dropped)

    # -- what is sent

    async def _send_message(self, message: bytes) -> None:
        await self.channel.send(message, self.handshake_headers)

    async def send_modern(
        self, method: str, params: Json, request_id: int, *, capabilities: Mapping[str, Any] | None = None
    ) -> Json:
        """Send a modern request with envelope and routing headers; return its result."""
        return parse_result(await self._send_modern_raw(method, params, request_id, capabilities))

    async def _send_modern_raw(
        self, method: str, params: Json, request_id: int, capabilities: Mapping[str, Any] | None
    ) -> bytes:
        meta = {
            **(params.get("_meta") or {}),
            types.PROTOCOL_VERSION_META_KEY: LATEST_MODERN_VERSION,
            types.CLIENT_INFO_META_KEY: IMPLEMENTATION,
            types.CLIENT_CAPABILITIES_META_KEY: dict(capabilities or {}),
        }
        routing = routing_headers(method, params, None) | ({HEADER: self.router.chain} if META_KEY in meta else {})
        return await self._send_raw(method, {**params, "_meta": meta}, routing, request_id)

    async def send(self, method: str, params: Json, headers: Mapping[str, str], request_id: int) -> Json:
        """Send a request without changes; return its result; see `request`.

        If the caller is cancelled, the server is notified.
        """
        return parse_result(await self._send_raw(method, params, headers, request_id))

    async def _send_raw(self, method: str, params: Json, headers: Mapping[str, str], request_id: int) -> bytes:
        if self.closed.is_set():
            # It was not sent, so the retry policy may send it again.
            raise RequestNotSent("the session has just ended")
        try:
            message = encode_request(b"%d" % request_id, method, encode(params))
        except (ValueError, RecursionError) as error:
            raise MCPError(types.INVALID_PARAMS, f"the arguments cannot be sent: {error}") from None
        response = _Response(self, asyncio.get_running_loop().create_future())
        abandon = self.channel.request(message, request_id, headers, response)
        try:
            return await response.future
        except asyncio.CancelledError:
            abandon()
            # Clients must not cancel initialize (specification 2025-11-25, cancellation).
            if self.version:
                self.cancel_request(request_id)
            raise


@asynccontextmanager
async def open_connection(
    transport: Transport,
    router: ServerMessageRouter | None = None,
    on_announced: AnnouncedFn | None = None,
    server: str = "",
) -> AsyncIterator[Connection]:
    """Open `transport` to `server`; yield a connection before negotiation."""
    async with transport as yielded:
        opened: object = yielded
        if isinstance(opened, ServerChannel):
            async with _connect(opened, router, on_announced, server) as connection:
                yield connection
        else:
            # Third-party transports may yield the SDK's streams.
            async with (
                open_stream_channel(*yielded) as channel,
                _connect(channel, router, on_announced, server) as connection,
            ):
                yield connection


@asynccontextmanager
async def _connect(
    channel: ServerChannel, router: ServerMessageRouter | None, on_announced: AnnouncedFn | None, server: str
) -> AsyncIterator[Connection]:
    async with anyio.create_task_group() as tasks:
        announcements = Announcements(on_announced)
        connection = Connection(channel, tasks, router or ServerMessageRouter(), announcements, server=server)
        channel.start(connection.on_message, connection.on_close)
        try:
            yield connection
        finally:
            connection.on_close()
            tasks.cancel_scope.cancel()
