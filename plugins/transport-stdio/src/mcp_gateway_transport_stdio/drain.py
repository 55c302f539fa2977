"""Draining of pending requests at EOF.

A client that has closed its end of the pipe still gets the responses to earlier requests.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, Self

import anyio
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from mcp_gateway_transport_stdio.parse_errors import parse_error_response

log = logging.getLogger(__name__)

_ENDLESS = "subscriptions/listen"
"""A request that is answered only when its client leaves, so it is not waited for."""

# Polled, and only during the shutdown, so that calls need not signal their end.
_LOOK_SECONDS = 0.02


@dataclass(slots=True)
class PendingRequests:
    """Counter of requests without a response.

    `others` returns the number of those in progress past the SDK.

    They are waited for `grace` seconds at the most, and no longer than the client `reads`.
    """

    grace: float
    count_others: Callable[[], int] = lambda: 0
    is_client_reading: Callable[[], bool] = lambda: True
    _pending_ids: set[str | int] = field(default_factory=set)
    _end: float = 0.0

    def on_incoming(self, item: SessionMessage) -> None:
        """Register a request, or remove a cancelled one.

        Requests that never end are not registered.
        """
        message = item.message
        if isinstance(message, JSONRPCRequest) and message.method != _ENDLESS:
            self._pending_ids.add(message.id)
        elif isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            # A request that was cancelled is not answered (specification, cancellation).
            named = (message.params or {}).get("requestId")
            # By type(), because True is an int in Python, and equal to 1; a list would have no hash.
            if type(named) in (str, int):
                self._pending_ids.discard(named)

    def on_outgoing(self, item: SessionMessage) -> None:
        """Remove an answered request."""
        if isinstance(item.message, JSONRPCResponse | JSONRPCError) and item.message.id is not None:
            self._pending_ids.discard(item.message.id)

    @property
    def remaining(self) -> float:
        """How many seconds are left of the grace period."""
        return max(_LOOK_SECONDS, self._end - anyio.current_time())

    async def drain(self) -> None:
        """Wait until all requests are answered, or the grace period is over."""
        self._end = anyio.current_time() + self.grace
        with anyio.move_on_after(self.grace) as waiting:
            while (self._pending_ids or self.count_others()) and self.is_client_reading():  # noqa: ASYNC110  # see _LOOK_SECONDS
                await anyio.sleep(_LOOK_SECONDS)
        if waiting.cancelled_caught:
            count = len(self._pending_ids) + self.count_others()
            hint = "to wait longer after the client has closed its end, set GATEWAY_SHUTDOWN_GRACE"
            log.warning("requests abandoned", extra={"requests": count, "grace": self.grace, "hint": hint})


class DrainingReadStream:
    """A read stream that drains pending requests before its end.

    It wraps the SDK's stream. A line that is not a message gets an error response at once.
    """

    def __init__(self, stream: Any, debts: PendingRequests, outgoing: TrackingWriteStream) -> None:
        """Read from `stream`."""
        self._stream, self._debts, self._outgoing = stream, debts, outgoing
        self._is_drained = False

    @property
    def last_context(self) -> Context | None:
        """The context of the last received message."""
        context: Context | None = self._stream.last_context
        return context

    async def receive(self) -> SessionMessage | Exception:
        """Return the next message."""
        while True:
            try:
                item: SessionMessage | Exception = await self._stream.receive()
            except anyio.EndOfStream:
                # The SDK comes here twice if nothing was for it.
                if not self._is_drained:
                    self._is_drained = True
                    await self._debts.drain()
                raise
            if isinstance(item, SessionMessage):
                self._debts.on_incoming(item)
                return item
            if (error := parse_error_response(item)) is not None:
                await self._outgoing.send(SessionMessage(error))

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()

    def __aiter__(self) -> Self:
        """Iterate over the messages."""
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        """Return the next message."""
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        """Enter as the SDK's streams can be entered."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the stream."""
        await self.aclose()


class TrackingWriteStream:
    """A wrapper of the SDK's write stream that tracks responses."""

    def __init__(self, stream: Any, debts: PendingRequests) -> None:
        """Write to `stream`."""
        self._stream, self._debts = stream, debts

    async def send(self, item: SessionMessage) -> None:
        """Send a message."""
        await self._stream.send(item)
        self._debts.on_outgoing(item)

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        """Enter as the SDK's streams can be entered."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the stream."""
        await self.aclose()
