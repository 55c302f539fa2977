"""Who is at the other end: the caller of a request, and the clients that want to hear of changes."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import mcp_types as types
from mcp.server import ServerRequestContext
from mcp.server.connection import Connection
from mcp.server.session import ServerSession
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcp_gateway.interaction import Interaction
from mcp_gateway.plugin import Caller
from mcp_gateway.surface.eras import Json, wants_progress

Context = ServerRequestContext[Any, Any]

_NAME = "mcp_gateway.client"


def caller_of(context: Context) -> Caller:
    """Return who sent this request.

    A client is a connection in the handshake era. In the modern era, which has no
    connections, it is whoever has the same `Authorization`, or the other end of the pipe.
    """
    headers = {name.lower(): value for name, value in getattr(context.request, "headers", {}).items()}
    return Caller(headers=headers, client=_client(context, headers))


def interaction_of(context: Context) -> Interaction:
    """Return what the client can take and give while this request is under way."""
    params = context.params or {}
    on_progress = context.session.report_progress if wants_progress(params) else None
    if is_modern(context):
        declared = params.get("_meta", {}).get(types.CLIENT_CAPABILITIES_META_KEY)
        return Interaction(on_progress, declared if isinstance(declared, dict) else {})
    declared = context.session.client_capabilities
    capabilities = declared.model_dump(mode="json", by_alias=True, exclude_none=True) if declared else {}
    channel = context.session._request_outbound  # noqa: SLF001  # the only way to ask on the stream of this request

    async def ask(method: str, params: Json) -> Json:
        return await channel.send_raw_request(method, params)

    return Interaction(on_progress, capabilities, ask)


def with_override(caller: Caller, override: str | None) -> Caller:
    """Return the same caller with an `auth_header` of the call's own."""
    return Caller(headers=caller.headers, override=override, client=caller.client)


def is_modern(context: Context) -> bool:
    """Whether the client speaks the modern era on this request."""
    return context.protocol_version in MODERN_PROTOCOL_VERSIONS


def _client(context: Context, headers: dict[str, str]) -> str:
    if not is_modern(context):
        return str(_connection(context.session).state.setdefault(_NAME, uuid.uuid4().hex))
    if context.request is None:
        return "pipe"
    return sha256(headers.get("authorization", "").encode()).hexdigest()


def _connection(session: ServerSession) -> Connection:
    return session._connection  # noqa: SLF001  # the SDK's only way to a connection's state and end


@dataclass(slots=True)
class Clients:
    """The connections of handshake-era clients. `on_gone` hears the name of each that ends."""

    on_gone: Callable[[str], None]
    _sessions: dict[Connection, ServerSession] = field(default_factory=dict)

    def joined(self, context: Context) -> None:
        """Take note of a client that has finished its handshake."""
        connection = _connection(context.session)
        self._sessions[connection] = context.session
        connection.exit_stack.callback(self._left, connection)

    async def tell_changed(self, name: str) -> None:
        """Tell every client that a list has changed: of `tools`, `prompts` or `resources`."""
        for session in list(self._sessions.values()):
            match name:
                case "tools":
                    await session.send_tool_list_changed()
                case "prompts":
                    await session.send_prompt_list_changed()
                case "resources":
                    await session.send_resource_list_changed()

    def _left(self, connection: Connection) -> None:
        self._sessions.pop(connection, None)
        if name := connection.state.get(_NAME):
            self.on_gone(str(name))
