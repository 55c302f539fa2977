"""The channel of a session: requests, notifications and responses over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
from mcp.shared.exceptions import MCPError

from mcp_gateway.plugin import ServerUnavailable, TransportFault
from mcp_gateway_transport_http.client.carriers.carrier import Carrier
from mcp_gateway_transport_http.client.delivery import Delivery
from mcp_gateway_transport_http.client.drop_counter import DropCounter
from mcp_gateway_transport_http.client.exchange import Link
from mcp_gateway_transport_http.client.request_exchange import RequestExchange
from mcp_gateway_transport_http.client.responses.messages import method_of
from mcp_gateway_transport_http.client.session import HttpSession
from mcp_gateway_transport_http.client.session_stream import SessionStream

if TYPE_CHECKING:
    from mcp_gateway.plugin import ResponseHandler

_SEND_SECONDS = 30.0
"""How long a server may take to accept a message that has no response."""

_DELETE_SECONDS = 1.0
"""How long a server may take to end a session."""


class HttpChannel:
    """A session with one server; see `ServerChannel`."""

    def __init__(self, session: HttpSession, carrier: Carrier, max_bytes: int) -> None:
        """Begin without a connection."""
        self._link = Link(session, carrier, max_bytes)
        self._dropped = DropCounter(urlsplit(session.endpoint.origin).hostname or "")
        self._stream: SessionStream | None = None
        self._on_message: Callable[[bytes], None] = _ignore
        self._on_close: Callable[[], None] | None = None
        self._is_closed = False

    def start(self, on_message: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        """Begin to receive."""
        self._on_message, self._on_close = on_message, on_close

    def request(
        self, message: bytes, request_id: int, headers: Mapping[str, str], handler: ResponseHandler
    ) -> Callable[[], None]:
        """Send a request: at once, if a connection is open and free."""
        exchange = RequestExchange(self._link, request_id, handler, self._dropped, self._on_message)
        if self._is_closed:
            asyncio.get_running_loop().call_soon(exchange.end)
        else:
            exchange.begin(message, headers)
        return exchange.abandon

    async def send(self, message: bytes, headers: Mapping[str, str]) -> None:
        """Send a message without a response; requests do not wait for it.

        Raises:
            MCPError: it cannot be delivered.
            ServerUnavailable: the connection is closed.

        """
        if self._is_closed:
            raise ServerUnavailable("the session has ended")
        request = self._link.session.build_request(headers, message)
        try:
            await Delivery(self._link).send(request, _SEND_SECONDS)
        except TimeoutError:
            words = f"it did not accept a message within {_SEND_SECONDS:g} seconds"
            raise MCPError(TransportFault.UNREACHABLE, words) from None
        finally:
            if method_of(message) == "notifications/initialized":
                self._open_stream()

    def set_reading_paused(self, *, paused: bool) -> None:
        """Stop reading from the server, or go on."""
        self._link.is_paused = paused
        for exchange in list(self._link.exchanges):
            exchange.set_reading_paused(paused=paused)

    async def aclose(self) -> None:
        """End the session: its requests fail, and the server hears of it."""
        if self._is_closed:
            return
        self._is_closed = True
        for exchange in list(self._link.exchanges):
            exchange.end()
        if self._stream is not None:
            self._stream.end()
        with anyio.CancelScope(shield=True):
            await self._delete()
            await self._link.carrier.aclose()
        if self._on_close is not None:
            self._on_close()

    def _open_stream(self) -> None:
        if self._link.session.id is not None and self._stream is None and not self._is_closed:
            self._stream = SessionStream(self._link, self._on_message, self._dropped)
            self._stream.open()

    async def _delete(self) -> None:
        """Tell the server that the session is over; whatever it says."""
        if self._link.session.id is None:
            return
        request = self._link.session.build_request({}, None, "DELETE")
        try:
            await Delivery(self._link).send(request, _DELETE_SECONDS)
        except (MCPError, ServerUnavailable, TimeoutError):
            return


def _ignore(_: bytes) -> None:
    """Drop a message without a listener."""
