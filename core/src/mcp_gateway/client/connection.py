"""Client connection to a server of either era, in raw JSON.

The SDK's dispatcher carries the messages. Its `ClientSession` does not: its models drop
fields that they do not know.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import anyio
import mcp_types as types
import structlog
from anyio.abc import TaskStatus
from mcp.shared.dispatcher import CallOptions
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import (
    MCP_METHOD_HEADER,
    MCP_NAME_HEADER,
    MCP_PROTOCOL_VERSION_HEADER,
    NAME_BEARING_METHODS,
    encode_header_value,
    mcp_param_headers,
)
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp.shared.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp_types.version import LATEST_MODERN_VERSION

from mcp_gateway.client.backpressure import PacedStream
from mcp_gateway.client.in_flight import InFlightRequest
from mcp_gateway.client.open_requests import AnsweringStream
from mcp_gateway.client.server_messages import ServerMessageRouter
from mcp_gateway.plugin import SupportsRawRequest, SupportsRawRequestNowait, TransportFault, replace_lone_surrogates
from mcp_gateway.protocol._sdk import Transport
from mcp_gateway.protocol.client_channel import LEVELS, Json
from mcp_gateway.protocol.implementation import IMPLEMENTATION

log = structlog.get_logger(__name__)

Mirrored = Mapping[tuple[str, ...], str]
AnnouncedFn = Callable[[str, Json], None]
"""Hears what a server announces to nobody in particular: method and params."""

LISTS = ("tools", "prompts", "resources")
"""What servers announce changes of."""

_ACKNOWLEDGED = "notifications/subscriptions/acknowledged"

_UPDATED = "notifications/resources/updated"

_ANNOUNCEMENTS = frozenset({_UPDATED, *(f"notifications/{name}/list_changed" for name in LISTS)})
_ENDS_A_REQUEST = "notifications/cancelled"
"""The dispatcher has acted on it; it concerns nobody else."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Callbacks of a modern subscription: acknowledgement and resource updates."""

    acknowledged: Callable[[Json], None]
    updated: Callable[[Json], None]


@dataclass(slots=True)
class Connection:
    """An MCP client connection to a server; see `open_connection`.

    `wire` is the way past the dispatcher, if the transport has one. `closed` says when
    the connection is over. `ids` are those of requests. `subscriptions` hear, by the
    request's id, what a modern server will announce.
    """

    dispatcher: JSONRPCDispatcher
    router: ServerMessageRouter = field(default_factory=ServerMessageRouter)
    wire: SupportsRawRequest | None = None
    prompt: SupportsRawRequestNowait | None = None
    closed: anyio.Event = field(default_factory=anyio.Event)
    version: str = ""
    initialize_result: Json = field(default_factory=dict)
    ids: Iterator[int] = field(default_factory=lambda: count(1))
    subscriptions: dict[int, Subscription] = field(default_factory=dict)
    _level: str | None = None

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
        exchange: InFlightRequest | None = None,
        capabilities: Mapping[str, Any] | None = None,
        mirrored: Mirrored | None = None,
    ) -> Json:
        """Send a request; return the unmodified result.

        `capabilities` are those of the client for whom it is; a server of the handshake era
        heard them at the handshake. `mirrored` says which arguments a modern server wants as
        `Mcp-Param-*` headers, too.

        Raises:
            MCPError: the server answered with an error, or the connection closed.

        """
        request_id = next(self.ids)
        options: CallOptions = {"request_id": request_id}
        params = _replace_surrogates(params)
        if exchange is None:
            return await self._send(method, params, options, capabilities, mirrored)
        reserved: Json = {}
        if exchange.channel.wants_progress:
            reserved["progressToken"] = request_id
        if self.modern and exchange.channel.log_level is not None:
            reserved[types.LOG_LEVEL_META_KEY] = exchange.channel.log_level
        if reserved:
            params = {**params, "_meta": {**(params.get("_meta") or {}), **reserved}}
        async with self.router.during(request_id, exchange):
            await self.set_log_level(exchange.channel.log_level)
            return await self._send(method, params, options, capabilities, mirrored)

    async def set_log_level(self, level: str | None, *, fewer: bool = False) -> None:
        """Set the log level of a handshake-era server.

        A level less verbose than the current one is set only if `fewer`.
        """
        if level is None or level == self._level or self.modern or not self.declares("logging"):
            return
        if self._level is not None and not fewer and LEVELS.index(level) > LEVELS.index(self._level):
            return
        # Before the request: calls that begin meanwhile need not set the same level.
        self._level = level
        try:
            await self.request("logging/setLevel", {"level": level})
        except MCPError as error:
            if error.code == types.CONNECTION_CLOSED:
                raise
            log.info("a server does not take a log level", level=level, reason=error.error.message)

    async def notify(self, method: str, params: Json | None = None) -> None:
        """Send a handshake-era server a notification; the modern era has none."""
        if not self.modern:
            await self.dispatcher.notify(method, params, {"headers": {MCP_PROTOCOL_VERSION_HEADER: self.version}})

    async def cancel_request(self, request_id: int) -> None:
        """Send `notifications/cancelled` for a request."""
        await self.dispatcher.notify("notifications/cancelled", {"requestId": request_id})

    def declares(self, capability: str) -> bool:
        """Whether the server said that it has a capability."""
        return capability in self.server_capabilities

    @property
    def server_capabilities(self) -> Json:
        """The capabilities that the server declared."""
        capabilities = self.initialize_result.get("capabilities")
        return capabilities if isinstance(capabilities, dict) else {}

    def on_listen_acknowledged(self, params: Json) -> None:
        """Handle the acknowledgement of `subscriptions/listen` by a modern server.

        It says which notifications the server will send.
        """
        honoured = params.get("notifications")
        if (subscription := self._subscription(params)) is not None:
            subscription.acknowledged(honoured if isinstance(honoured, dict) else {})

    def on_resource_updated(self, params: Json) -> bool:
        """Handle a resource update; return whether a subscription matches."""
        if (subscription := self._subscription(params)) is None:
            return False
        subscription.updated(params)
        return True

    def _subscription(self, params: Json) -> Subscription | None:
        meta = params.get("_meta")
        name = meta.get(SUBSCRIPTION_ID_META_KEY) if isinstance(meta, dict) else None
        return self.subscriptions.get(name) if isinstance(name, int) else None

    async def _send(
        self,
        method: str,
        params: Json,
        options: CallOptions,
        capabilities: Mapping[str, Any] | None,
        mirrored: Mirrored | None,
    ) -> Json:
        if self.closed.is_set():
            # Not a byte has left: the retry policy may send it again.
            raise MCPError(TransportFault.UNREACHABLE, "the session has just ended", {"sent": False})
        if self.modern:
            return await self.send_modern(method, params, options, capabilities, mirrored)
        options["headers"] = {MCP_PROTOCOL_VERSION_HEADER: self.version}
        return await self.dispatcher.send_raw_request(method, params, options)

    async def send_modern(
        self,
        method: str,
        params: Json,
        options: CallOptions | None = None,
        capabilities: Mapping[str, Any] | None = None,
        mirrored: Mirrored | None = None,
    ) -> Json:
        """Send a modern request with envelope and routing headers.

        The envelope is in `_meta`.
        """
        options = options or {}
        meta = {
            **(params.get("_meta") or {}),
            types.PROTOCOL_VERSION_META_KEY: LATEST_MODERN_VERSION,
            types.CLIENT_INFO_META_KEY: IMPLEMENTATION,
            types.CLIENT_CAPABILITIES_META_KEY: dict(capabilities or {}),
        }
        options["headers"] = _routing_headers(method, params, mirrored)
        return await self.dispatcher.send_raw_request(method, {**params, "_meta": meta}, options)


def _replace_surrogates(params: Json) -> Json:
    """Replace lone surrogates in params by U+FFFD.

    No transport can carry them.
    """
    try:
        json.dumps(params, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        # JavaScript cuts text in the middle of surrogate pairs, so halves of characters do come.
        found: Json = json.loads(replace_lone_surrogates(json.dumps(params).encode()))
        return found
    except RecursionError:  # the wire says so
        pass
    return params


def _routing_headers(method: str, params: Json, mirrored: Mirrored | None) -> dict[str, str]:
    # A modern server refuses headers that differ from the body (-32020, specification 2026-07-28).
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
    async with transport as (read, write), anyio.create_task_group() as tasks:
        router = router or ServerMessageRouter()
        answers = AnsweringStream(write, router.open_requests)
        dispatcher: JSONRPCDispatcher = JSONRPCDispatcher(PacedStream(read, router.deliveries, answers), answers)
        # Third parties' transports need not have the raw way: their calls take the SDK's.
        wire = write if isinstance(write, SupportsRawRequest) else None
        connection = Connection(dispatcher, router, wire, wire if isinstance(wire, SupportsRawRequestNowait) else None)

        def on_broadcast(method: str, params: Mapping[str, Any] | None) -> bool:
            """Handle a message without an addressee; others wait in order."""
            if method == _ACKNOWLEDGED:
                connection.on_listen_acknowledged(dict(params or {}))
            elif method == _UPDATED and connection.on_resource_updated(dict(params or {})):
                pass
            elif method in _ANNOUNCEMENTS and on_announced is not None:
                on_announced(method, dict(params or {}))
            return method in _ANNOUNCEMENTS or method in (_ACKNOWLEDGED, _ENDS_A_REQUEST)

        async def run(*, task_status: TaskStatus[None]) -> None:
            try:
                # Only `on_broadcast` is called in the order of the wire; the SDK runs the other two as tasks.
                await dispatcher.run(
                    connection.router.on_request,
                    connection.router.on_notification,
                    on_broadcast,
                    task_status=task_status,
                )
            finally:
                connection.closed.set()

        await tasks.start(run)
        yield connection
        tasks.cancel_scope.cancel()
