"""Callers of requests, and connected clients that get notifications."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from typing import Any

import mcp_types as types
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcp_gateway.plugin import Caller, Principal
from mcp_gateway.protocol._sdk import connection_of, request_outbound_of
from mcp_gateway.protocol.capabilities import DeclaredCapabilities
from mcp_gateway.protocol.client_channel import ALONE, LEVELS, ClientChannel, Json, is_severe
from mcp_gateway.protocol.raw_json import Fields, encode_raw
from mcp_gateway.server.early_handshake import EarlyClient
from mcp_gateway.server.pipeline.notification_queue import NotificationQueue
from mcp_gateway.server.pipeline.pipes import PIPE

Context = ServerRequestContext[Any, Any]

_NAME, _CAPABILITIES, _LEVEL = "mcp_gateway.client", "mcp_gateway.capabilities", "mcp_gateway.level"
_INFO = "mcp_gateway.info"
_LONGEST_NAME = 100


def caller_of(context: Context) -> Caller:
    """Return the caller of a request.

    In the handshake era a client is a connection. The modern era has none, so there a client is identified by its
    principal, or else by its `Authorization` header; over stdio by its pipe.
    """
    headers = {name.lower(): value for name, value in getattr(context.request, "headers", {}).items()}
    principal = _principal(context)
    client = _client(context, headers, principal)
    return Caller(headers=headers, client=client, capabilities=_capabilities(context), principal=principal)


def channel_of(context: Context) -> tuple[ClientChannel, NotificationQueue]:
    """Return the channel of a request that came through the SDK.

    The queue of what is sent on it is to be drained before the response.
    """
    meta = (context.params or {}).get("_meta") or {}
    token, modern = meta.get("progressToken"), is_modern(context)
    state = connection_of(context.session).state
    channel = request_outbound_of(context.session)
    queue = NotificationQueue(channel.notify)

    def notify(method: str, params: Fields) -> None:
        level = meta.get(types.LOG_LEVEL_META_KEY) if modern else state.get(_LEVEL, LEVELS[0])
        match method:
            case "notifications/progress" if token is not None:
                queue.put(method, {**params, "progressToken": encode_raw(token)})
            case "notifications/message" if level in LEVELS and is_severe(params, level):
                queue.put(method, params)
            case "notifications/progress" | "notifications/message":
                pass
            case _ if not modern:
                queue.put(method, params)

    async def ask(method: str, params: Json) -> Json:
        return await channel.send_raw_request(method, params)

    level = meta.get(types.LOG_LEVEL_META_KEY) if modern else state.get(_LEVEL)
    back = ClientChannel(
        notify, None if modern else ask, token is not None, level if level in LEVELS else None, queue.is_congested
    )
    return back, queue


async def send_beside(context: Context, method: str, params: Json) -> None:
    """Send a notification that is not related to the current request."""
    await request_outbound_of(context.session).notify(method, params)


def with_override(caller: Caller, override: str | None) -> Caller:
    """Return the caller with the `auth_header` argument of a call."""
    return replace(caller, auth_header=override)


def is_modern(context: Context) -> bool:
    """Whether the client speaks the modern era on this request."""
    return context.protocol_version in MODERN_PROTOCOL_VERSIONS


def modern_name(headers: Mapping[str, str] | None, principal: Principal | None) -> str:
    """Return the name of a modern client.

    Without headers it is that of the pipe.
    """
    if headers is None:
        return PIPE.get()
    return _hash_identity(principal or headers.get("authorization", ""))


def _client(context: Context, headers: dict[str, str], principal: Principal | None) -> str:
    if not is_modern(context):
        return str(connection_of(context.session).state.setdefault(_NAME, uuid.uuid4().hex))
    return modern_name(None if context.request is None else headers, principal)


def _principal(context: Context) -> Principal | None:
    """Return the principal of an authenticated request, if any.

    It comes from the SDK's `AuthenticatedUser` in the request's ASGI scope.
    """
    user = getattr(context.request, "scope", {}).get("user")
    token = getattr(user, "access_token", None)
    if token is None or not token.subject:
        return None
    return Principal(str((token.claims or {}).get("iss", "")), str(token.subject))


@lru_cache(maxsize=1024)
def _hash_identity(identity: str | Principal) -> str:
    return sha256(repr(tuple(identity) if isinstance(identity, Principal) else identity).encode()).hexdigest()


def _capabilities(context: Context) -> Json:
    if is_modern(context):
        declared = (context.params or {}).get("_meta", {}).get(types.CLIENT_CAPABILITIES_META_KEY)
    else:
        declared = connection_of(context.session).state.get(_CAPABILITIES)
    return declared if isinstance(declared, dict) else {}


@dataclass(slots=True, eq=False)
class RawClient:
    """The sender of a raw request: opaque name and declared capabilities."""

    name: str
    capabilities: Json
    principal: Principal | None = None


@dataclass(slots=True)
class Clients:
    """The connected clients.

    `on_gone` is called with the name of each handshake-era client that leaves.
    """

    on_gone: Callable[[str], None]
    _connections: dict[str, Connection] = field(default_factory=dict)
    _queues: dict[str, NotificationQueue] = field(default_factory=dict)
    _sessions: dict[str, RawClient] = field(default_factory=dict)
    # Apart from sessions, so that no session id is taken for a pipe's name.
    _by_pipe: dict[str, RawClient] = field(default_factory=dict)
    _listed: dict[str, set[str]] = field(default_factory=dict)
    _modern_pipes: set[str] = field(default_factory=set)

    def on_initialized(self, context: Context, guest: EarlyClient | None = None) -> None:
        """Handle `initialize`: register the client and its capabilities.

        With `guest`, the client's handshake was already answered early.
        """
        connection = connection_of(context.session)
        if guest is not None:
            connection.state[_NAME] = guest.name
        connection.state[_CAPABILITIES] = (context.params or {}).get("capabilities")
        info = (context.params or {}).get("clientInfo")
        named = info if isinstance(info, dict) else {}
        connection.state[_INFO] = {key: str(named[key])[:_LONGEST_NAME] for key in ("name", "version") if key in named}
        client, principal = _client(context, {}, None), _principal(context)
        if client not in self._connections:
            self._connections[client] = connection
            self._queues[client] = NotificationQueue(connection.notify)
            # The stack is closed with the connection, whatever ends it.
            session, pipe = connection.session_id, PIPE.get()
            known, key = (self._by_pipe, pipe) if session is None else (self._sessions, session)
            known[key] = RawClient(client, DeclaredCapabilities(_capabilities(context)), principal)
            connection.exit_stack.callback(self._on_client_left, client, known, key)

    def describe(self) -> list[Json]:
        """Describe the connected clients: what they call themselves, and their version."""
        return [dict(connection.state.get(_INFO) or {}) for connection in self._connections.values()]

    def record_stdio_client(self, context: Context) -> None:
        """Record a modern client over stdio, which has no handshake."""
        if context.request is None and is_modern(context):
            self.on_modern_pipe()

    def set_log_level(self, context: Context, level: str) -> None:
        """Set the log level of a handshake-era client."""
        connection_of(context.session).state[_LEVEL] = level

    def on_modern_pipe(self) -> None:
        """Record that the client on this pipe is a modern one."""
        self._modern_pipes.add(PIPE.get())

    def forget_pipe(self, name: str) -> None:
        """Forget a pipe that has ended."""
        self._modern_pipes.discard(name)

    def log_level(self, client: str) -> str | None:
        """Return the log level that a handshake-era client has set.

        None if it has set none.
        """
        connection = self._connections.get(client)
        return None if connection is None else connection.state.get(_LEVEL)

    def way_to(self, client: str) -> ClientChannel | None:
        """Return the channel to a client that is independent of its requests."""
        connection = self._connections.get(client)
        if connection is None:
            # A modern client has no such channel, but over a pipe it is certainly a single person.
            return ALONE if client in self._modern_pipes else None

        queue = self._queues[client]

        def notify(method: str, params: Fields) -> None:
            if method != "notifications/message" or is_severe(params, connection.state.get(_LEVEL, LEVELS[0])):
                queue.put(method, params)

        async def ask(method: str, params: Json) -> Json:
            # Servers must not send requests but pings before `initialized` (specification 2025-11-25, lifecycle).
            await connection.initialized.wait()
            return await connection.send_raw_request(method, params)

        return ClientChannel(notify, ask, is_congested=queue.is_congested)

    def raw_client(self, headers: Mapping[str, str] | None, principal: Principal | None = None) -> RawClient | None:
        """Return the handshake-era client of a raw request.

        It is found by the session id in the headers; without headers it is that of the pipe.
        """
        if headers is None:
            client = self._by_pipe.get(PIPE.get())
        else:
            client = self._sessions.get(headers.get("mcp-session-id", ""))
        # A session belongs to the principal that opened it: knowing its id must not be enough.
        if client is None or client.principal != principal or not self._connections[client.name].initialized.is_set():
            return None
        version = self._connections[client.name].protocol_version
        return client if headers is None or headers.get("mcp-protocol-version", version) == version else None

    def record_listed(self, client: str, name: str) -> None:
        """Record that a handshake-era client has a list; see `announce`."""
        if client in self._connections:
            self._listed.setdefault(client, set()).add(name)

    async def announce(self, name: str, clients: frozenset[str] | None = None) -> None:
        """Send `list_changed` to handshake-era clients that have the list.

        `name` is, for example, "tools". It is sent to all of them, or to those in `clients`. Others do not need it, and
        the Python SDK 1.x fails if one comes while it closes.
        """
        for client, connection in list(self._connections.items()):
            wants = connection.initialized.is_set() and name in self._listed.get(client, ())
            if wants and (clients is None or client in clients):
                await connection.notify(f"notifications/{name}/list_changed", None)

    def _on_client_left(self, client: str, known: dict[str, RawClient], key: str) -> None:
        connection = self._connections.pop(client, None)
        if connection is not None:
            known.pop(key, None)
            self._queues.pop(client).close()
            self._listed.pop(client, None)
        self.on_gone(client)
