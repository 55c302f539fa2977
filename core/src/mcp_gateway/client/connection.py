"""Client connection to a server of either era, in raw JSON.

It uses the SDK's dispatcher but not its `ClientSession`, whose models drop unknown fields.
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
"""Callback for change notifications that relate to no request, with method and params."""

LISTS = ("tools", "prompts", "resources")
"""The lists of which servers announce changes."""

_ACKNOWLEDGED = "notifications/subscriptions/acknowledged"

_UPDATED = "notifications/resources/updated"

_ANNOUNCEMENTS = frozenset({_UPDATED, *(f"notifications/{name}/list_changed" for name in LISTS)})
_ENDS_A_REQUEST = "notifications/cancelled"
"""The dispatcher handles it; it must not reach the router."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Callbacks of a modern subscription: acknowledgement and resource updates."""

    acknowledged: Callable[[Json], None]
    updated: Callable[[Json], None]


@dataclass(slots=True)
class Connection:
    """An MCP client connection to a server; see `open_connection`.

    `wire` sends raw requests past the dispatcher, and `prompt` does so without awaiting; they are None if the
    transport does not support that. `closed` is set when the connection ends. `ids` yields request ids.
    `subscriptions` holds the open `subscriptions/listen` requests, by request id.
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

        That era has no handshake; every request carries an envelope in `_meta` instead.
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

        `exchange` is the client's request on whose behalf it is sent. `capabilities` are that client's, for a modern
        server; a handshake-era server got them at the handshake. `mirrored` maps paths of arguments to the names of
        the `Mcp-Param-*` headers in which a modern server wants a copy of them.

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

        A level less verbose than the current one is set only if `fewer`, because other clients of the session may
        rely on the current one.
        """
        if level is None or level == self._level or self.modern or not self.declares("logging"):
            return
        if self._level is not None and not fewer and LEVELS.index(level) > LEVELS.index(self._level):
            return
        # Set before the request, so that calls that begin meanwhile do not send the same level again.
        self._level = level
        try:
            await self.request("logging/setLevel", {"level": level})
        except MCPError as error:
            if error.code == types.CONNECTION_CLOSED:
                raise
            log.info("log level rejected", requested=level, reason=error.error.message)

    async def notify(self, method: str, params: Json | None = None) -> None:
        """Send a handshake-era server a notification; the modern era has none."""
        if not self.modern:
            await self.dispatcher.notify(method, params, {"headers": {MCP_PROTOCOL_VERSION_HEADER: self.version}})

    async def cancel_request(self, request_id: int) -> None:
        """Send `notifications/cancelled` for a request."""
        await self.dispatcher.notify("notifications/cancelled", {"requestId": request_id})

    def declares(self, capability: str) -> bool:
        """Whether the server declared a capability."""
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
            # Nothing has been sent: the retry policy may send it again.
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

        The envelope (protocol version, client info and capabilities) goes into `_meta`.
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

    They cannot be encoded as UTF-8, so no transport can carry them.
    """
    try:
        json.dumps(params, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        # JavaScript clients cut text in the middle of surrogate pairs, so this does occur.
        found: Json = json.loads(replace_lone_surrogates(json.dumps(params).encode()))
        return found
    except RecursionError:  # nested too deeply: encoding the message fails with a proper error later
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

    The connection's `closed` is set when it ends.
    """
    async with transport as (read, write), anyio.create_task_group() as tasks:
        router = router or ServerMessageRouter()
        answers = AnsweringStream(write, router.open_requests)
        dispatcher: JSONRPCDispatcher = JSONRPCDispatcher(PacedStream(read, router.deliveries, answers), answers)
        # Third-party transports need not support raw requests: their calls take the SDK path.
        wire = write if isinstance(write, SupportsRawRequest) else None
        connection = Connection(dispatcher, router, wire, wire if isinstance(wire, SupportsRawRequestNowait) else None)

        def on_broadcast(method: str, params: Mapping[str, Any] | None) -> bool:
            """Handle a change notification; return whether it was one."""
            if method == _ACKNOWLEDGED:
                connection.on_listen_acknowledged(dict(params or {}))
            elif method == _UPDATED and connection.on_resource_updated(dict(params or {})):
                pass
            elif method in _ANNOUNCEMENTS and on_announced is not None:
                on_announced(method, dict(params or {}))
            return method in _ANNOUNCEMENTS or method in (_ACKNOWLEDGED, _ENDS_A_REQUEST)

        async def run(*, task_status: TaskStatus[None]) -> None:
            try:
                # The SDK calls only `on_broadcast` in the order of arrival; it runs the other two as tasks.
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
