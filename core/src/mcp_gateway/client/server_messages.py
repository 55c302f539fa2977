"""Routing of server-initiated messages to the clients of a session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import mcp_types as types
import structlog
from mcp.shared.exceptions import MCPError

from mcp_gateway.client.backpressure import Backpressure
from mcp_gateway.client.in_flight import ASK_SECONDS, InFlightRequest, send_to_client
from mcp_gateway.client.open_requests import OpenRequests
from mcp_gateway.protocol.client_channel import ClientChannel, Json, can_answer
from mcp_gateway.protocol.envelope import read_id
from mcp_gateway.protocol.raw_json import Fields

log = structlog.get_logger(__name__)

_ASK_BESIDE_SECONDS = 30.0
"""How long a client may take to answer what has to do with no request of its."""

_SEVERAL = 2
_PROGRESS = "notifications/progress"


def _nowhere(_client: str) -> ClientChannel | None:
    return None


def _ignore_request(_attributed: bool) -> None:  # noqa: FBT001  # the only thing that there is to tell
    pass


@dataclass(slots=True, eq=False)
class ServerMessageRouter:
    """Router of server messages to the clients of a session.

    A transport may say to which request a message of the server's belongs; streams of a
    process say nothing. Then it is for the one client that has a request under way, or
    for the one that has used the session at all; if there are several, it is for nobody.
    A client that cannot be reached beside its requests, as those of the modern era over
    HTTP, may be several people: then it must be the only request under way.
    `clients` are those that have used it and have not left. Of those that cannot be reached, and so
    never say that they leave, only two are noted: more are no more than several.
    `backpressure` holds up a server whose clients do not read, `open_requests` counts what the server waits to hear.
    `watchers` is how many only wait for what is announced.
    `capabilities` is what the server was told that the clients can do. `way_to` finds the
    way to a client beside its requests. `on_asked` hears that the server asks back, and
    whether it was told on which request's behalf.
    """

    capabilities: Mapping[str, Any] = field(default_factory=dict)
    way_to: Callable[[str], ClientChannel | None] = _nowhere
    on_asked: Callable[[bool], None] = _ignore_request
    clients: set[str] = field(default_factory=set)
    watchers: int = 0
    backpressure: Backpressure = field(default_factory=Backpressure)
    open_requests: OpenRequests = field(default_factory=OpenRequests)
    _exchanges: dict[int, InFlightRequest] = field(default_factory=dict)
    _questions: set[anyio.CancelScope] = field(default_factory=set)
    _unreachable: int = 0

    @property
    def has_client(self) -> bool:
        """Whether a client that is still connected has used the session."""
        return any(self.way_to(client) is not None for client in self.clients)

    def add_client(self, client: str) -> None:
        """Take note of a client that uses the session."""
        if client in self.clients:
            return
        if self.way_to(client) is None:
            if self._unreachable >= _SEVERAL:
                return
            self._unreachable += 1
        self.clients.add(client)

    def remove_client(self, client: str) -> None:
        """Remove a client that has left.

        Server requests that it got beside its requests are cancelled.
        """
        if client in self.clients:
            self.clients.discard(client)
            self.close()

    def close(self) -> None:
        """Cancel the server requests that are related to no request."""
        for question in self._questions:
            question.cancel()

    def enter(self, request_id: int, exchange: InFlightRequest) -> None:
        """Take note of an exchange that begins."""
        self._exchanges[request_id] = exchange

    def leave(self, request_id: int) -> None:
        """Unregister an in-flight request, if registered."""
        if (exchange := self._exchanges.pop(request_id, None)) is not None:
            exchange.cancel_server_requests()

    def on_notification(self, method: str, params: Fields, exchange: InFlightRequest | None = None) -> None:
        """Forward a notification to the right client.

        `exchange` is the request on whose stream it came, if the transport knows.
        """
        if method == _PROGRESS:
            exchange = self._progress_target(params)
        elif exchange is None:
            exchange = self._probable_exchange()
        if exchange is not None:
            exchange.on_notification(method, params, dropped=not self.backpressure.admits(exchange.channel))
            return
        channel = None if method == _PROGRESS else self._only_client()
        if channel is None:
            log.debug("notification without a receiver", method=method)
        elif self.backpressure.admits(channel):
            channel.notify(method, params)

    async def on_request(self, method: str, params: Json, exchange: InFlightRequest | None = None) -> Json:
        """Forward a server request to the right client; return the client's result.

        `exchange` is the request on whose stream it came, if the transport knows.

        Raises:
            MCPError: none of the clients can be asked, or the answer was an error.

        """
        if method == "ping":
            return {}
        if not can_answer(self.capabilities, method, params):
            raise MCPError(types.METHOD_NOT_FOUND, f"the client did not declare that it can answer {method}")
        is_attributed = exchange is not None
        self.on_asked(is_attributed)
        exchange = exchange or self._probable_exchange()
        if exchange is not None:
            if not is_attributed and self._can_outlive_request(exchange):
                with exchange.pause_timeout():
                    return await send_to_client(exchange.channel, method, params, ASK_SECONDS, self._questions)
            return await exchange.on_request(method, params)
        if (channel := self._only_client()) is not None:
            return await send_to_client(channel, method, params, _ASK_BESIDE_SECONDS, self._questions)
        raise MCPError(
            types.INVALID_REQUEST, f"{method} belongs to no request under way, or it cannot be told to which client's"
        )

    def _can_outlive_request(self, exchange: InFlightRequest) -> bool:
        """Whether a server request may outlive its related request.

        It may if the client can be reached beside its requests; the relation is then only a guess.
        """
        way = self.way_to(str(exchange.client))
        return way is not None and way.ask is not None

    def _progress_target(self, params: Fields) -> InFlightRequest | None:
        """Return the in-flight request of a progress notification.

        The request's id is the progress token.
        """
        token = read_id(bytes(params.get("progressToken", b"")))
        # Ours are integers, but the type of a token is string or integer: some come back as text.
        if isinstance(token, str) and token.isdecimal():
            token = int(token)
        return self._exchanges.get(token) if isinstance(token, int) else None

    def _probable_exchange(self) -> InFlightRequest | None:
        """Return the request in flight that a message must belong to, if it can be told."""
        under_way = [exchange for exchange in self._exchanges.values() if exchange.client is not None]
        if len(under_way) < _SEVERAL:  # only one can be meant
            return next(iter(under_way), None)
        clients = {exchange.client for exchange in under_way}
        one_person = len(clients) == 1 and self.way_to(str(under_way[-1].client)) is not None
        return under_way[-1] if one_person else None

    def _only_client(self) -> ClientChannel | None:
        """Return the channel to the session's only client.

        None if there are several or none.
        """
        if len(self.clients) != 1:
            return None
        return self.way_to(next(iter(self.clients)))
