"""What all connections of clients have in common."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

from starlette.middleware.cors import CORSMiddleware
from starlette.types import Scope
from uvicorn.config import Config

from mcp_gateway.plugin import SupportsRawDispatch
from mcp_gateway_transport_http._uvicorn import ServerState
from mcp_gateway_transport_http.auth.bearer import Admission, BearerAuthMiddleware
from mcp_gateway_transport_http.http1.connection_registry import ConnectionRegistry
from mcp_gateway_transport_http.http1.request_head import RequestHead
from mcp_gateway_transport_http.http1.write_batch import WriteBatch
from mcp_gateway_transport_http.server.message_protocol import MessageProtocol
from mcp_gateway_transport_http.server.message_request import (
    MessageRequest,
    cors_headers,
    fold_headers,
    is_message_post,
)
from mcp_gateway_transport_http.server.session_limits import LimitedSessionManager

log = logging.getLogger(__name__)


@dataclass(slots=True)
class DroppedMessages:
    """Counts messages that clients did not read; logs powers of ten."""

    count: int = 0
    _next_logged: int = 1

    def add(self) -> None:
        """Count one."""
        self.count += 1
        if self.count >= self._next_logged:
            self._next_logged *= 10
            log.warning("message dropped", extra={"messages": self.count, "reason": "a client does not read"})


@dataclass(frozen=True, slots=True)
class MessageEndpoint:
    """The server, its gate and its limits, shared by all connections."""

    server: SupportsRawDispatch
    gate: BearerAuthMiddleware
    cors: CORSMiddleware
    sessions: LimitedSessionManager
    registry: ConnectionRegistry
    outbox: WriteBatch = field(default_factory=WriteBatch)
    dropped: DroppedMessages = field(default_factory=DroppedMessages)

    def build_protocol(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> MessageProtocol:
        """Return the protocol of a new connection.

        uvicorn calls this method as it would the protocol class.
        """
        return MessageProtocol(self, config, server_state, app_state, _loop)

    def build_request(self, head: RequestHead, admission: Admission) -> MessageRequest | None:
        """Return an admitted POST, None if it is none of a message.

        Its session must be the sender's: of another's, it hears elsewhere that there is none.
        """
        lines = admission.scope["headers"]
        fields = fold_headers(lines)
        if fields is None or not is_message_post(fields) or not self._may_use_session(fields, admission.scope):
            return None
        fields.pop("content-length", None)  # of this body alone; all else means the same for equal heads
        return MessageRequest(
            headers=fields,
            principal=admission.principal,
            session=self.sessions.find_session(fields.get("mcp-session-id", "")),
            keep_alive=head.keep_alive,
            is_chunkable=head.version == "1.1",
            response_headers=cors_headers(self.cors, lines) if "origin" in fields else b"",
        )

    def _may_use_session(self, fields: dict[str, str], scope: Scope) -> bool:
        session_id = fields.get("mcp-session-id")
        return session_id is None or self.sessions.may_use(session_id, scope)
