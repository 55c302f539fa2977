"""Client connection to a server of either era, in raw JSON.

Every message goes over the transport's channel as bytes. The SDK's `ClientSession` has no part in it: its models
drop fields that they do not know.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from typing import Any

import anyio
import mcp_types as types
import structlog
from anyio.abc import TaskGroup
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import (
    MCP_METHOD_HEADER,
    MCP_NAME_HEADER,
    MCP_PROTOCOL_VERSION_HEADER,
    NAME_BEARING_METHODS,
    encode_header_value,
    mcp_param_headers,
)
from mcp.shared.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp_types.version import LATEST_MODERN_VERSION
from msgspec import UNSET

from mcp_gateway.client.in_flight import InFlightRequest
from mcp_gateway.client.server_messages import ServerMessageRouter
from mcp_gateway.client.server_requests import ServerRequests
from mcp_gateway.plugin import RequestNotSent, ServerChannel, ServerUnavailable, open_stream_channel
from mcp_gateway.protocol._sdk import Transport
from mcp_gateway.protocol.client_channel import LEVELS, Json
from mcp_gateway.protocol.envelope import encode_notification, encode_request, parse_message, parse_result
from mcp_gateway.protocol.implementation import IMPLEMENTATION
from mcp_gateway.protocol.raw_json import Fields, decode_members, encode

log = structlog.get_logger(__name__)

Mirrored = Mapping[tuple[str, ...], str]
AnnouncedFn = Callable[[str, Json], None]
"""Hears what a server announces to nobody in particular: method and params."""

LISTS = ("tools", "prompts", "resources")
"""What servers announce changes of."""

_ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
_CANCELLED = "notifications/cancelled"
_UPDATED = "notifications/resources/updated"
_ANNOUNCEMENTS = frozenset({_UPDATED, *(f"notifications/{name}/list_changed" for name in LISTS)})

# What tells a server that a request is given up must not hold up who gives it up.
_CANCEL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Subscription:
    """Callbacks of a modern subscription: acknowledgement and resource updates."""

    acknowledged: Callable[[Json], None]
    updated: Callable[[Json], None]


@dataclass(slots=True, eq=False)
class _Response:
    """A `ResponseHandler` for a request that a task waits for."""

    connection: Connection
    future: asyncio.Future[bytes]

    def on_message(self, message: bytes) -> None:
        self.connection.on_message(message)

    def on_response(self, response: bytes) -> None:
        if not self.future.done():
            self.future.set_result(response)

    def on_failure(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(slots=True)
class Connection:
    """An MCP client connection to a server; see `open_connection`.

    `closed` says when the connection is over. `ids` are those of requests. `subscriptions` hear, by the request's id,
    what a modern server will announce. `on_announced` hears what the server announces to nobody in particular.
    """

    channel: ServerChannel
    tasks: TaskGroup
    router: ServerMessageRouter = field(default_factory=ServerMessageRouter)
    on_announced: AnnouncedFn | None = None
    closed: anyio.Event = field(default_factory=anyio.Event)
    version: str = ""
    initialize_result: Json = field(default_factory=dict)
    ids: Iterator[int] = field(default_factory=lambda: count(1))
    subscriptions: dict[int, Subscription] = field(default_factory=dict)
    server_requests: ServerRequests = field(init=False)
    _level: str | None = None
    _unexpected: int = 0

    def __post_init__(self) -> None:
        """Let the router hold up the channel, and answer what the server asks."""
        self.server_requests = ServerRequests(self._send_message, self.tasks, self.router)
        self.router.backpressure.set_paused = lambda paused: self.channel.set_reading_paused(paused=paused)

    @property
    def handshake_headers(self) -> Mapping[str, str]:
        """The headers of a handshake-era request."""
        return _version_headers(self.version)

    @property
    def modern(self) -> bool:
        """Whether the server speaks 2026-07-28.

        That era has no handshake, and an envelope on every request.
        """
        return self.version == LATEST_MODERN_VERSION

    async def request(
        self,
        method: str,
        params: Json,
        *,
        capabilities: Mapping[str, Any] | None = None,
        mirrored: Mirrored | None = None,
    ) -> Json:
        """Send a request of the gateway's own; return the unmodified result.

        `capabilities` are those of the client for whom it is, for a modern server; a handshake-era server got them at
        the handshake. `mirrored` maps paths of arguments to the names of the `Mcp-Param-*` headers in which a modern
        server wants a copy of them.

        Raises:
            ServerError: the server answered with an error.
            MCPError: the transport answered in the server's place, by a `TransportFault`.
            ServerUnavailable: the request did not get through, or the connection closed.

        """
        request_id = next(self.ids)
        if self.modern:
            return await self.send_modern(method, params, request_id, capabilities=capabilities, mirrored=mirrored)
        return await self.send(method, params, self.handshake_headers, request_id)

    async def set_log_level(self, level: str | None, *, fewer: bool = False) -> None:
        """Set the log level of a handshake-era server.

        A level less verbose than the current one is set only if `fewer`.
        """
        if level is None or not self.lacks_log_level(level, fewer=fewer):
            return
        # Before the request: calls that begin meanwhile need not set the same level.
        self._level = level
        try:
            await self.request("logging/setLevel", {"level": level})
        except MCPError as error:
            log.info("log level refused", level=level, reason=error.error.message)

    def lacks_log_level(self, level: str | None, *, fewer: bool = False) -> bool:
        """Whether the server would have to be told a level first."""
        if level is None or level == self._level or self.modern or not self.declares("logging"):
            return False
        return self._level is None or fewer or LEVELS.index(level) <= LEVELS.index(self._level)

    async def notify(self, method: str, params: Json | None = None) -> None:
        """Send a handshake-era server a notification; the modern era has none."""
        if not self.modern:
            await self._send_message(encode_notification(method, params))

    def cancel_request(self, request_id: int) -> None:
        """Tell the server in a task that a request is given up."""
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
        """Whether the server said that it has a capability."""
        return capability in self.server_capabilities

    @property
    def server_capabilities(self) -> Json:
        """The capabilities that the server declared."""
        capabilities = self.initialize_result.get("capabilities")
        return capabilities if isinstance(capabilities, dict) else {}

    # -- what the server sends

    def on_message(self, message: bytes, exchange: InFlightRequest | None = None) -> None:
        """Handle a notification or request of the server's.

        `exchange` is the request on whose stream it came, if the transport knows.
        """
        try:
            parsed = parse_message(message)
            params = parsed.fields
        except (ValueError, RecursionError):
            self._drop_unexpected("unreadable")
            return
        if parsed.method is UNSET:
            self._drop_unexpected("a response that nobody waits for")
        elif parsed.id is not UNSET and bytes(parsed.id) != b"null":
            self.server_requests.on_request(parsed, len(message), exchange)
        elif parsed.method == _CANCELLED:
            self.server_requests.on_cancelled(bytes(params.get("requestId", b"")))
        elif not self._announce(parsed.method, params):
            self.router.on_notification(parsed.method, params, exchange)

    def on_close(self) -> None:
        """Handle the end of the connection."""
        self.closed.set()

    def _announce(self, method: str, fields: Fields) -> bool:
        """Handle a message without an addressee; return whether it is one."""
        if method not in _ANNOUNCEMENTS and method != _ACKNOWLEDGED:
            return False
        try:
            params: Json = decode_members(fields)
        except (ValueError, RecursionError):
            self._drop_unexpected("unreadable")
            return True
        subscription = self._subscription(params)
        if method == _ACKNOWLEDGED:
            honoured = params.get("notifications")
            if subscription is not None:
                subscription.acknowledged(honoured if isinstance(honoured, dict) else {})
        elif method == _UPDATED and subscription is not None:
            subscription.updated(params)
        elif self.on_announced is not None:
            self.on_announced(method, params)
        return True

    def _subscription(self, params: Json) -> Subscription | None:
        meta = params.get("_meta")
        name = meta.get(SUBSCRIPTION_ID_META_KEY) if isinstance(meta, dict) else None
        if isinstance(name, str) and name.isdecimal():
            name = int(name)
        return self.subscriptions.get(name) if isinstance(name, int) else None

    def _drop_unexpected(self, what: str) -> None:
        self._unexpected += 1
        # At powers of two only: what floods the session must not flood the log.
        if self._unexpected & (self._unexpected - 1) == 0:
            log.info("message dropped", reason=what, messages=self._unexpected)

    # -- what is sent

    async def _send_message(self, message: bytes) -> None:
        await self.channel.send(message, self.handshake_headers)

    async def send_modern(
        self,
        method: str,
        params: Json,
        request_id: int,
        *,
        capabilities: Mapping[str, Any] | None = None,
        mirrored: Mirrored | None = None,
    ) -> Json:
        """Send a modern request with envelope and routing headers.

        The envelope is in `_meta`.
        """
        meta = {
            **(params.get("_meta") or {}),
            types.PROTOCOL_VERSION_META_KEY: LATEST_MODERN_VERSION,
            types.CLIENT_INFO_META_KEY: IMPLEMENTATION,
            types.CLIENT_CAPABILITIES_META_KEY: dict(capabilities or {}),
        }
        headers = routing_headers(method, params, mirrored)
        return await self.send(method, {**params, "_meta": meta}, headers, request_id)

    async def send(self, method: str, params: Json, headers: Mapping[str, str], request_id: int) -> Json:
        """Send a request as it is; return its result. A cancelled one is given up at the server, too.

        Raises:
            ServerError: the server answered with an error.
            MCPError: the transport answered in the server's place, by a `TransportFault`.
            ServerUnavailable: the request did not get through, or the connection closed.

        """
        if self.closed.is_set():
            # Not a byte has left: the retry policy may send it again.
            raise RequestNotSent("the session has just ended")
        try:
            message = encode_request(b"%d" % request_id, method, encode(params))
        except RecursionError:
            raise MCPError(types.INVALID_PARAMS, "the arguments cannot be sent: nested too deeply") from None
        response = _Response(self, asyncio.get_running_loop().create_future())
        abandon = self.channel.request(message, request_id, headers, response)
        try:
            return parse_result(await response.future)
        except asyncio.CancelledError:
            abandon()
            # Clients must not cancel initialize (specification 2025-11-25, cancellation).
            if self.version:
                self.cancel_request(request_id)
            raise


@lru_cache(maxsize=16)
def _version_headers(version: str) -> Mapping[str, str]:
    return {MCP_PROTOCOL_VERSION_HEADER: version} if version else {}


def routing_headers(method: str, params: Json, mirrored: Mirrored | None) -> dict[str, str]:
    """Return the headers of a modern request, which repeat some of its body.

    A modern server refuses headers that differ from the body (-32020, specification 2026-07-28).
    """
    headers = {MCP_PROTOCOL_VERSION_HEADER: LATEST_MODERN_VERSION, MCP_METHOD_HEADER: method}
    name = params.get("taskId" if method.startswith("tasks/") else NAME_BEARING_METHODS.get(method, ""))
    if isinstance(name, str):
        headers[MCP_NAME_HEADER] = encode_header_value(name)
    if mirrored:
        headers |= mcp_param_headers(mirrored, params.get("arguments") or {})
    return headers


@asynccontextmanager
async def open_connection(
    transport: Transport, router: ServerMessageRouter | None = None, on_announced: AnnouncedFn | None = None
) -> AsyncIterator[Connection]:
    """Open `transport`; yield a connection before negotiation.

    Its `closed` is set when it ends.
    """
    async with transport as yielded:
        opened: object = yielded
        if isinstance(opened, ServerChannel):
            async with _connect(opened, router, on_announced) as connection:
                yield connection
        else:
            # Third parties' transports may yield the SDK's streams.
            async with open_stream_channel(*yielded) as channel, _connect(channel, router, on_announced) as connection:
                yield connection


@asynccontextmanager
async def _connect(
    channel: ServerChannel, router: ServerMessageRouter | None, on_announced: AnnouncedFn | None
) -> AsyncIterator[Connection]:
    async with anyio.create_task_group() as tasks:
        connection = Connection(channel, tasks, router or ServerMessageRouter(), on_announced)
        channel.start(connection.on_message, connection.on_close)
        try:
            yield connection
        finally:
            connection.closed.set()
            tasks.cancel_scope.cancel()
