"""A message without a response, and the end of a session."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from mcp_gateway_transport_http.client.carriers.carrier import ConnectionLost, HttpRequest, ResponseHead
from mcp_gateway_transport_http.client.exchange import Exchange, Link
from mcp_gateway_transport_http.client.request_exchange import failure_of
from mcp_gateway_transport_http.client.responses.limits import LimitExceeded
from mcp_gateway_transport_http.client.responses.refusals import own_refusal, refusal_of
from mcp_gateway_transport_http.client.responses.sse import SseParser

_DRAIN_SECONDS = 1.0
"""How long the rest of a response may take whose status has come."""


class Delivery(Exchange):
    """A request of which only the status is of interest."""

    __slots__ = ("_delivered", "_session_id")

    def __init__(self, link: Link) -> None:
        """Prepare."""
        super().__init__(link)
        self._session_id = link.session.id
        self._delivered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def send(self, request: HttpRequest, seconds: float) -> None:
        """Send, and wait for the status.

        Raises:
            MCPError: the server refuses it.
            ServerUnavailable: it cannot be sent.
            TimeoutError: there was no status within so many seconds.

        """
        self._send(request)
        try:
            await asyncio.wait_for(self._delivered, seconds)
        finally:
            if not self._delivered.done() or self._delivered.cancelled():
                self.close()

    def on_head(self, head: ResponseHead) -> None:
        """Settle at the status; the body is only measured."""
        super().on_head(head)
        if head.status < HTTPStatus.MULTIPLE_CHOICES:
            self._settle(None)
            if self._flow is not None and not self._flow.is_complete:
                asyncio.get_running_loop().call_later(_DRAIN_SECONDS, self.close)

    def on_event(self, event: bytes) -> None:  # noqa: ARG002
        """Close the stream: nothing was asked."""
        self.close()

    def on_stream_end(self, events: SseParser) -> None:
        """Do nothing: nothing was asked."""

    def on_whole(self, head: ResponseHead, body: bytes) -> None:
        """Say why it was refused."""
        if head.status < HTTPStatus.MULTIPLE_CHOICES:
            return
        refusal = refusal_of(head, body, self._session_id)
        self._settle(refusal.error if refusal is not None else own_refusal(head, body).error)

    def on_broken(self, error: ConnectionLost | LimitExceeded) -> None:
        """Say that it broke."""
        self._settle(failure_of(error))

    def _settle(self, error: Exception | None) -> None:
        if self._delivered.done():
            return
        if error is None:
            self._delivered.set_result(None)
        else:
            self._delivered.set_exception(error)
