"""Messages to a client on the stream of its request.

They come while the request is in flight.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import count

import mcp_types as types
from mcp.shared.exceptions import MCPError
from msgspec import UNSET, Raw

from mcp_gateway.plugin import ResponseWriter
from mcp_gateway.protocol.client_channel import ALONE, LEVELS, ClientChannel, Json, is_severe
from mcp_gateway.protocol.envelope import (
    RequestMessage,
    encode_notification,
    encode_request,
    find_error,
    parse_result,
    read_error,
    read_id,
)
from mcp_gateway.protocol.raw_json import Fields, decode_member, encode, encode_object, encode_string

_LEAST = LEVELS[0]
_PREFIX = "gateway-"
"""Begins the ids of the gateway's requests to clients; those of the SDK are numbers."""


@dataclass(slots=True, eq=False)
class _OpenRequest:
    name: str
    client: str
    writer: ResponseWriter
    future: asyncio.Future[Json]

    def take_back(self) -> None:
        self.writer.write(encode_notification("notifications/cancelled", {"requestId": self.name}))


@dataclass(slots=True, eq=False)
class ClientRequests:
    """The gateway's requests to clients that have no response yet."""

    _open: dict[str, _OpenRequest] = field(default_factory=dict)
    _of_stream: dict[int, list[_OpenRequest]] = field(default_factory=dict)
    """The same requests, by the identity of the writer of their stream."""
    _numbers: count[int] = field(default_factory=lambda: count(1))

    async def ask(self, client: str, writer: ResponseWriter, method: str, params: Json) -> Json:
        """Send a request to a client; return its result.

        Raises:
            MCPError: the client answered with an error, or has left.

        """
        name = f"{_PREFIX}{next(self._numbers)}"
        asked = _OpenRequest(name, client, writer, asyncio.get_running_loop().create_future())
        self._open[name] = asked
        self._of_stream.setdefault(id(writer), []).append(asked)
        writer.write(encode_request(encode_string(name), method, encode(params)))
        try:
            return await asked.future
        except asyncio.CancelledError:
            if name in self._open:
                asked.take_back()
            raise
        finally:
            self._close(asked)

    def _close(self, asked: _OpenRequest) -> None:
        if self._open.pop(asked.name, None) is None:
            return
        others = self._of_stream[id(asked.writer)]
        others.remove(asked)
        if not others:
            del self._of_stream[id(asked.writer)]

    def end_stream(self, writer: ResponseWriter) -> None:
        """Take back the requests on a stream, before its response ends it."""
        for asked in list(self._of_stream.get(id(writer), ())):
            if asked.future.done() and not asked.future.cancelled():
                continue
            self._close(asked)
            asked.take_back()
            if not asked.future.done():
                asked.future.set_exception(MCPError(types.INVALID_REQUEST, "the client's request is over"))

    def on_response(self, client: str, response: RequestMessage) -> bool:
        """Handle a response, if it is to one of these requests.

        Returns whether it is.
        """
        name = None if response.id is UNSET else read_id(bytes(response.id))
        asked = self._open.get(name) if isinstance(name, str) else None
        if asked is None or asked.client != client:
            return False
        future = asked.future
        if future.done():
            return True
        if (error := find_error(response)) is not None:
            future.set_exception(read_error(error))
        else:
            result = response.result
            future.set_result(parse_result(b'{"result":%b}' % bytes(b"{}" if result is UNSET else result)))
        return True

    def forget(self, client: str) -> None:
        """End the requests to a client that has left."""
        for asked in self._open.values():
            if asked.client == client and not asked.future.done():
                asked.future.set_exception(MCPError(types.INVALID_REQUEST, "the client has left"))


@dataclass(slots=True, eq=False)
class Delivery:
    """Writes messages to a client on the stream of its request.

    They are notifications and requests of servers.

    `token` is the client's own progress token, as it came; `level` the least severe messages that it wants.
    """

    writer: ResponseWriter
    client: str
    requests: ClientRequests
    token: Raw | None
    level: str | None
    modern: bool

    def notify(self, method: str, params: Fields) -> None:
        """Write a notification, if the client wants it."""
        if method == "notifications/progress":
            if self.token is None:
                return
            params = {**params, "progressToken": self.token}
        elif method == "notifications/message":
            # Before it has set a level, a handshake-era client gets all messages (specification 2025-11-25, logging).
            level = self.level if self.modern else self.level or _LEAST
            if level is None or not is_severe(params, level):
                return
        elif self.modern:
            return
        self.writer.write(b'{"jsonrpc":"2.0","method":%b,"params":%b}' % (encode_string(method), encode_object(params)))

    async def ask(self, method: str, params: Json) -> Json:
        """Send the client a request; return its result."""
        return await self.requests.ask(self.client, self.writer, method, params)

    def is_congested(self) -> bool:
        """Whether the client does not read what was written."""
        return self.writer.is_congested


def open_channel(
    writer: ResponseWriter, client: str, requests: ClientRequests, meta: Fields, level: str | None, *, modern: bool
) -> ClientChannel:
    """Return the channel of a request.

    `level` is that which a handshake-era client has set.
    """
    token = meta.get("progressToken")
    if token is not None and bytes(token) == b"null":
        token = None
    if modern:
        level = decode_member(meta, types.LOG_LEVEL_META_KEY) if types.LOG_LEVEL_META_KEY in meta else None
        level = level if level in LEVELS else None
        if token is None and level is None:
            return ALONE  # the modern era tells nothing that was not asked for
    delivery = Delivery(writer, client, requests, token, level, modern)
    ask = None if modern else delivery.ask
    return ClientChannel(delivery.notify, ask, token is not None, level, delivery.is_congested)
