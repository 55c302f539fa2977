"""The pair of streams of a session.

They carry what the SDK's client reads and writes, and what it cannot.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import anyio
import mcp_types as types
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage

from mcp_gateway.plugin import ServerUnavailable, TransportFault
from mcp_gateway_transport_sse.event_stream import SessionEvents

if TYPE_CHECKING:
    from mcp_gateway_transport_sse.http_client import SseHttpClient

_HAND_OVER_SECONDS = 5.0
"""How long the SDK's client may take to begin to send a message."""

_ACCEPT_SECONDS = 30.0
"""How long a server may take to accept a message that has no response; of others the caller keeps the time."""

Message = types.JSONRPCRequest | types.JSONRPCNotification | types.JSONRPCResponse | types.JSONRPCError


class MessageReader:
    """The messages of a session's stream, in its order."""

    def __init__(self, stream: Any, events: SessionEvents) -> None:
        """Read the SDK's stream."""
        self._stream, self._events = stream, events

    async def __aiter__(self) -> AsyncIterator[SessionMessage | Exception]:
        """Yield messages until the stream ends; an error for an unreadable one.

        Raises:
            ServerUnavailable: it has not simply ended.

        """
        async for item in self._stream:
            received = self._events.received.popleft()
            if not received.is_kept and isinstance(item, SessionMessage):
                yield item
                continue
            messages = list(_read_odd_message(received.data))
            for message in messages:
                yield SessionMessage(message)
            if not messages:
                yield ValueError("the data of an event are no message")
        if self._events.failure is not None:
            raise self._events.failure


class MessageWriter:
    """Writer of a session's messages, each a request of its own."""

    def __init__(self, stream: Any, client: SseHttpClient) -> None:
        """Write to the SDK's stream."""
        self._stream, self._client = stream, client
        self._turn = anyio.Lock()

    async def send(self, message: SessionMessage) -> None:
        """Send a message; return when the server has accepted it.

        Raises:
            MCPError: the server refuses it.
            ServerUnavailable: it did not arrive, or nobody knows.
            ValueError: it cannot be written as JSON.

        """
        if isinstance(message.message, types.JSONRPCRequest) and message.message.method == "server/discover":
            # Servers as old as this transport may end when the first message is not `initialize`.
            raise MCPError(types.METHOD_NOT_FOUND, "HTTP+SSE is older than server/discover")
        _check_encodable(message.message)
        async with self._turn:
            post = self._client.expect_post()
            # Else what is sent next would be taken for this one.
            with anyio.CancelScope(shield=True), anyio.move_on_after(_HAND_OVER_SECONDS):
                await self._stream.send(message)
                await post.begun.wait()
        if not post.begun.is_set():
            raise ServerUnavailable("the session has stopped sending")
        seconds = math.inf if isinstance(message.message, types.JSONRPCRequest) else _ACCEPT_SECONDS
        try:
            with anyio.fail_after(seconds):
                await post.done.wait()
        except TimeoutError:
            words = f"it did not accept a message within {seconds:g} seconds"
            raise MCPError(TransportFault.UNREACHABLE, words) from None
        finally:
            post.scope.cancel()
        if post.error is not None:
            raise post.error


def _check_encodable(message: Message) -> None:
    """Try what the SDK's client does: its errors would end the session."""
    try:
        json.dumps(message.model_dump(by_alias=True, mode="json", exclude_unset=True), allow_nan=False)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _read_odd_message(data: bytes) -> Iterator[Message]:
    """Read long messages, odd ones, and arrays of messages."""
    try:
        message = types.jsonrpc_message_adapter.validate_json(data, by_name=False)
    except ValueError:
        yield from _read_leniently(data)
    else:
        yield message


def _read_leniently(data: bytes) -> Iterator[Message]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return
    for content in found if isinstance(found, list) else [found]:
        if isinstance(content, dict) and (message := _construct(content)) is not None:
            yield message


def _construct(content: dict[str, Any]) -> Message | None:
    """Make a message without validation: it is for the gateway to judge."""
    identifier = content.get("id")
    if isinstance(identifier, float) and identifier.is_integer():
        identifier = int(identifier)
    kept: dict[str, Any] = {"jsonrpc": "2.0", "id": identifier}
    if "method" in content:
        kept |= {name: content[name] for name in ("method", "params") if name in content}
        if "id" in content:
            return types.JSONRPCRequest.model_construct(set(kept), **kept)
        del kept["id"]
        return types.JSONRPCNotification.model_construct(set(kept), **kept)
    if content.get("error") is not None:
        kept["error"] = _construct_error(content["error"])
        return types.JSONRPCError.model_construct(set(kept), **kept)
    if "result" in content:
        kept["result"] = content["result"]
        return types.JSONRPCResponse.model_construct(set(kept), **kept)
    return None


def _construct_error(error: Any) -> types.ErrorData:
    members = error if isinstance(error, dict) else {"message": error}
    code, message = members.get("code"), members.get("message")
    return types.ErrorData(
        code=code if isinstance(code, int) else types.INTERNAL_ERROR,
        message=message if isinstance(message, str) else json.dumps(error),
        **({"data": members["data"]} if "data" in members else {}),
    )
