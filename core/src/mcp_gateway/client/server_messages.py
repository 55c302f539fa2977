"""Routing of server-initiated messages to the clients of a session."""

from __future__ import annotations

import math
import time
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
from mcp_gateway.plugin import read_own_id
from mcp_gateway.protocol.client_channel import ClientChannel, Json, can_answer
from mcp_gateway.protocol.raw_json import Fields

log = structlog.get_logger(__name__)

_ASK_BESIDE_SECONDS = 30.0
"""How long a client may take to answer a server request that relates to none of its own."""

_SEVERAL = 2
_PROGRESS, _MESSAGE = "notifications/progress", "notifications/message"


def _nowhere(_client: str) -> ClientChannel | None:
    return None


def _ignore_request(_attributed: bool) -> None:  # noqa: FBT001  # the callback's only argument
    pass


@dataclass(slots=True, eq=False)
class ServerMessageRouter:
    """Router of server messages to the clients of a session.

    A transport may say to which request a server's message relates; over stdio none does. Without that, a message
    goes to the only client with a request in flight, or else to the only client that has used the session. If there
    are several, it goes to none, so that no client sees another's messages. A client without a channel of its own,
    such as a modern one over HTTP, may be several people: then its request must be the only one in flight.

    `clients` are those that have used the session and have not left. Clients without a channel never announce that
    they leave; only two of them are recorded, since two are already "several".
    `backpressure` pauses a server whose clients do not read, `open_requests` limits its unanswered requests, and
    `watchers` is the number of users that only wait for notifications. `capabilities` are the client capabilities
    sent to the server, `chain` the gateways in front of it, which it gets with the handshake. `heard_at` is when the
    server last sent a log message that may belong to any request in flight, on the event loop's clock. `way_to`
    returns the channel to a client that is independent of its requests. `on_asked` is called when the server sends a
    request, with whether it named a related request.
    """

    capabilities: Mapping[str, Any] = field(default_factory=dict)
    way_to: Callable[[str], ClientChannel | None] = _nowhere
    chain: str = ""
    on_asked: Callable[[bool], None] = _ignore_request
    clients: set[str] = field(default_factory=set)
    watchers: int = 0
    heard_at: float = -math.inf
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
        """Record a client that uses the session."""
        if client in self.clients:
            return
        if self.way_to(client) is None:
            if self._unreachable >= _SEVERAL:
                return
            self._unreachable += 1
        self.clients.add(client)

    def remove_client(self, client: str) -> None:
        """Remove a client that has left.

        Open server requests that were sent to it unrelated to its own requests are cancelled.
        """
        if client in self.clients:
            self.clients.discard(client)
            self.close()

    def close(self) -> None:
        """Cancel the server requests that relate to no request."""
        for question in self._questions:
            question.cancel()

    def enter(self, request_id: int, exchange: InFlightRequest) -> None:
        """Register an in-flight request."""
        self._exchanges[request_id] = exchange

    def leave(self, request_id: int) -> None:
        """Unregister an in-flight request, if registered."""
        if (exchange := self._exchanges.pop(request_id, None)) is not None:
            for question in exchange.questions or ():
                question.cancel()
            if self.backpressure.congested:
                self.backpressure.forget(exchange.channel)

    def on_notification(self, method: str, params: Fields, exchange: InFlightRequest | None = None) -> None:
        """Handle a notification: forward it to the right client.

        `exchange` is the request on whose stream it came, if the transport knows.
        """
        if exchange is None and method == _MESSAGE:
            self.heard_at = time.monotonic()
        exchange = self._progress_target(params) if method == _PROGRESS else self._exchange(exchange)
        if exchange is not None:
            exchange.on_notification(method, params, dropped=not self.backpressure.admits(exchange.channel))
            return
        channel = None if method == _PROGRESS else self._only_client()
        if channel is None:
            log.debug("notification dropped", method=method)
        elif self.backpressure.admits(channel):
            channel.notify(method, params)

    async def on_request(self, method: str, params: Json, exchange: InFlightRequest | None = None) -> Json:
        """Handle a server request: forward it to the right client.

        `exchange` is the request on whose stream it came, if the transport knows.

        Raises:
            MCPError: there is no client that can be asked, or it answered with an error.

        """
        if method == "ping":
            return {}
        if not can_answer(self.capabilities, method, params):
            raise MCPError(types.METHOD_NOT_FOUND, f"the client did not declare that it can answer {method}")
        is_attributed = exchange is not None
        self.on_asked(is_attributed)
        exchange = self._exchange(exchange)
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

        It may if the client has a channel of its own; the relation to the request is then only a guess.
        """
        way = self.way_to(str(exchange.client))
        return way is not None and way.ask is not None

    def _progress_target(self, params: Fields) -> InFlightRequest | None:
        """Return the in-flight request of a progress notification.

        The request's id is the progress token.
        """
        # We send integers, but the specification allows strings as well, and some servers convert them.
        token = read_own_id(bytes(params.get("progressToken", b"")))
        return None if token is None else self._exchanges.get(token)

    def _exchange(self, related: InFlightRequest | None) -> InFlightRequest | None:
        """Return the request that a message relates to, if unambiguous."""
        if related is not None:
            return related if related.client is not None else None
        under_way = [exchange for exchange in self._exchanges.values() if exchange.client is not None]
        if len(under_way) < _SEVERAL:  # unambiguous
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
