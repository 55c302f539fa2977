"""Requests of a server to its clients.

They are forwarded and answered, and bounded in number.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
import mcp_types as types
import structlog
from anyio.abc import TaskGroup
from mcp.shared.exceptions import MCPError

from mcp_gateway.client.in_flight import InFlightRequest
from mcp_gateway.client.open_requests import MAX_REFUSALS, REFUSAL_SECONDS
from mcp_gateway.client.server_messages import ServerMessageRouter
from mcp_gateway.plugin import ServerUnavailable
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.protocol.envelope import RequestMessage, encode_error, encode_result
from mcp_gateway.protocol.raw_json import decode_members, encode_members

log = structlog.get_logger(__name__)

_TOO_MANY = "too many requests to the client are open; wait for answers"


@dataclass(slots=True, eq=False)
class ServerRequests:
    """Handler of a server's requests, each in a task.

    `send` delivers a response.
    """

    send: Callable[[bytes], Awaitable[None]]
    tasks: TaskGroup
    router: ServerMessageRouter
    # Some servers restart their request ids on each stream, so an id may be open more than once.
    _open: dict[bytes, list[anyio.CancelScope]] = field(default_factory=dict)

    def on_request(self, request: RequestMessage, size: int, exchange: InFlightRequest | None) -> None:
        """Handle a request of `size` bytes; beyond the limits it is rejected."""
        bounds, request_id = self.router.open_requests, bytes(request.id or b"null")
        if bounds.begin(size):
            self.tasks.start_soon(self._answer, request, request_id, size, exchange)
        elif bounds.refusals < MAX_REFUSALS:
            bounds.refusals += 1
            self.tasks.start_soon(self._refuse, request_id)

    def on_cancelled(self, request_id: bytes) -> None:
        """Handle the cancellation of a request; it gets no response."""
        if scopes := self._open.get(request_id):
            scopes[-1].cancel()

    async def _answer(
        self, request: RequestMessage, request_id: bytes, size: int, exchange: InFlightRequest | None
    ) -> None:
        scope = anyio.CancelScope()
        scopes = self._open.setdefault(request_id, [])
        scopes.append(scope)
        try:
            with scope:
                await self._send(await self._response(request, request_id, exchange))
        finally:
            scopes.remove(scope)
            if not scopes:
                self._open.pop(request_id, None)
            self.router.open_requests.end(size)

    async def _response(self, request: RequestMessage, request_id: bytes, exchange: InFlightRequest | None) -> bytes:
        try:
            params: Json = decode_members(request.params or {})
            answer = await self.router.on_request(str(request.method), params, exchange)
            return encode_result(request_id, encode_members(answer))
        except MCPError as error:
            return encode_error(request_id, error)
        except (ValueError, RecursionError) as error:
            return encode_error(request_id, MCPError(types.INVALID_PARAMS, f"the params cannot be read: {error}"))
        except Exception:
            log.exception("server request failed", method=str(request.method))
            return encode_error(request_id, MCPError(types.INTERNAL_ERROR, "the gateway failed inside"))

    async def _refuse(self, request_id: bytes) -> None:
        try:
            with anyio.move_on_after(REFUSAL_SECONDS):
                await self._send(encode_error(request_id, MCPError(types.INVALID_REQUEST, _TOO_MANY)))
        finally:
            self.router.open_requests.refusals -= 1

    async def _send(self, response: bytes) -> None:
        try:
            await self.send(response)
        except (MCPError, ServerUnavailable) as error:
            log.debug("answer not delivered", reason=str(error))
