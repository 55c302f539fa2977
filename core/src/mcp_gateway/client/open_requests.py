"""A bound on the open requests of a server to its clients.

Requests beyond it are rejected with an error.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import anyio
import structlog
from mcp.shared.jsonrpc_dispatcher import cancelled_request_id_from_params
from mcp.shared.message import SessionMessage
from mcp_types import (
    INVALID_REQUEST,
    ErrorData,
    JSONRPCError,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    RequestId,
)

from mcp_gateway.protocol._sdk import WriteStream
from mcp_gateway.protocol.json_size import json_size

log = structlog.get_logger(__name__)

MAX_OPEN_REQUESTS = 100
"""How many requests of one server, pings included, may be open. They are open until the response is written."""

MAX_OPEN_BYTES = 8 << 20
"""How many bytes the open requests may have in all; a single one may be larger."""

REFUSAL_SECONDS = 1.0
"""How long writing a rejection may take; after that the server, which does not read, gets no more of them."""


@dataclass(slots=True)
class OpenRequests:
    """Counter of a server's unanswered requests."""

    count: int = 0
    size: int = 0
    refused: int = 0
    is_deaf: bool = False
    _sizes: dict[str, deque[int]] = field(default_factory=dict)

    def begin(self, request: JSONRPCRequest) -> bool:
        """Count a request; return False if a limit is exceeded."""
        size = json_size(request.params, MAX_OPEN_BYTES)
        if self.count >= MAX_OPEN_REQUESTS or (self.count and self.size + size > MAX_OPEN_BYTES):
            self._refuse()
            return False
        # Some servers restart their request ids on each stream, so an id may be open more than once.
        self._sizes.setdefault(str(request.id), deque()).append(size)
        self.count, self.size = self.count + 1, self.size + size
        return True

    def end(self, request_id: RequestId | None) -> None:
        """Remove a request that was answered or cancelled."""
        sizes = self._sizes.get(str(request_id))
        if not sizes:
            return
        self.count, self.size = self.count - 1, self.size - sizes.popleft()
        if not sizes:
            del self._sizes[str(request_id)]

    def _refuse(self) -> None:
        self.refused += 1
        # Logged at powers of two only: a server that floods the session must not flood the log.
        if self.refused & (self.refused - 1) == 0:
            log.warning("server requests refused", requests=self.refused, reason="too many are open")


class AnsweringStream:
    """A session's write stream that counts server requests as answered."""

    def __init__(self, stream: WriteStream[SessionMessage], requests: OpenRequests) -> None:
        """Write to `stream`."""
        self._stream, self._requests = stream, requests

    async def send(self, item: SessionMessage, /) -> None:
        """Write a message."""
        message = item.message
        try:
            await self._stream.send(item)
        finally:
            # Also when writing failed: there will be no other response.
            if isinstance(message, JSONRPCResponse | JSONRPCError):
                self._requests.end(message.id)
        # The write went through, so the server reads again and can be sent rejections.
        self._requests.is_deaf = False

    async def admit(self, item: SessionMessage | Exception) -> bool:
        """Return whether a server's message is admitted.

        If it is not, the server gets an error response.
        """
        message = None if isinstance(item, Exception) else item.message
        if isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            self._requests.end(cancelled_request_id_from_params(message.params))
        if not isinstance(message, JSONRPCRequest) or self._requests.begin(message):
            return True
        if not self._requests.is_deaf:
            await self._refuse(message)
        return False

    async def _refuse(self, request: JSONRPCRequest) -> None:
        error = ErrorData(code=INVALID_REQUEST, message="too many requests to the client are open; wait for answers")
        refusal = JSONRPCError(jsonrpc="2.0", id=request.id, error=error)
        with (
            suppress(
                anyio.BrokenResourceError, anyio.ClosedResourceError
            ),  # the read side reports the end of the session
            anyio.move_on_after(REFUSAL_SECONDS) as writing,
        ):
            await self._stream.send(SessionMessage(refusal))
        self._requests.is_deaf = writing.cancelled_caught

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        """Enter the stream."""
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> bool | None:
        """Leave the stream."""
        return await self._stream.__aexit__(exc_type, exc_val, exc_tb)
