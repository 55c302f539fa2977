"""Raw JSON client for the contracts.

Results are as they came over the channel, not as a model of the SDK has them.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.exceptions import MCPError

from mcp_gateway.plugin import ServerChannel, ServerUnavailable, open_stream_channel

Json = dict[str, Any]

VERSION = "2025-11-25"
"""The protocol version that it asks for."""

_METHOD_NOT_FOUND = -32601


@dataclass(slots=True, eq=False)
class Outcome:
    """What became of one request. Made by `Session.begin`."""

    session: Session
    request_id: int
    abandon: Callable[[], None] = lambda: None
    responses: list[Json] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    messages_before: int = 0
    """How many messages the session had heard when the response came."""
    ended: anyio.Event = field(default_factory=anyio.Event)

    def on_message(self, message: bytes) -> None:
        """Handle a message on the request's own stream."""
        self.session.on_message(message)

    def on_response(self, response: bytes) -> None:
        """Take note of the response."""
        self.responses.append(json.loads(response))
        self.messages_before = len(self.session.messages)
        self.ended.set()

    def on_failure(self, error: Exception) -> None:
        """Take note that there is none."""
        self.failures.append(error)
        self.ended.set()

    async def result(self) -> Json:
        """Wait for the response; return its raw result."""
        await self.ended.wait()
        if self.failures:
            raise self.failures[0]
        response = self.responses[0]
        assert response["id"] == self.request_id
        if (error := response.get("error")) is not None:
            raise MCPError(error["code"], error["message"], error.get("data"))
        result: Json = response["result"]
        return result


@dataclass(slots=True, eq=False)
class Session:
    """A session that has shaken hands. Made by `session`."""

    channel: ServerChannel
    version: str = ""
    messages: list[Json] = field(default_factory=list)
    """What the server sent beside responses, in its order."""
    closings: int = 0
    news: anyio.Event = field(default_factory=anyio.Event)
    _last_id: int = 0
    _asked: MemoryObjectSendStream[Json] = field(init=False)
    _to_refuse: MemoryObjectReceiveStream[Json] = field(init=False)

    def __post_init__(self) -> None:
        """Begin to receive."""
        self._asked, self._to_refuse = anyio.create_memory_object_stream[Json](float("inf"))
        self.channel.start(self.on_message, self.on_close)

    @property
    def notified(self) -> list[str]:
        """The methods of the notifications that came."""
        return [message["method"] for message in self.messages if "method" in message and "id" not in message]

    def params_of(self, method: str) -> list[Json]:
        """Return the parameters of all messages of a method."""
        return [message.get("params", {}) for message in self.messages if message.get("method") == method]

    def begin(self, method: str, params: Json | None = None) -> Outcome:
        """Send a request without waiting."""
        self._last_id += 1
        outcome = Outcome(self, self._last_id)
        message = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params or {}}
        outcome.abandon = self.channel.request(_encode(message), self._last_id, self._headers(), outcome)
        return outcome

    async def request(self, method: str, params: Json | None = None) -> Json:
        """Send a request; return its raw result.

        Raises:
            mcp.MCPError: the server, or the channel in its place, answered with an error.
            ServerUnavailable: there will be no response.

        """
        outcome = self.begin(method, params)
        try:
            return await outcome.result()
        finally:
            outcome.abandon()

    async def notify(self, method: str) -> None:
        """Send a notification."""
        await self.channel.send(_encode({"jsonrpc": "2.0", "method": method}), self._headers())

    def begin_call(self, tool: str, **arguments: object) -> Outcome:
        """Call a tool without waiting; its progress is asked for."""
        meta = {"progressToken": self._last_id + 1}
        return self.begin("tools/call", {"name": tool, "arguments": arguments, "_meta": meta})

    async def call(self, tool: str, **arguments: object) -> Json:
        """Call a tool; return the raw result."""
        return await self.request("tools/call", {"name": tool, "arguments": arguments})

    async def text(self, tool: str, **arguments: object) -> str:
        """Call a tool; return the text of its first content block."""
        return str((await self.call(tool, **arguments))["content"][0]["text"])

    async def initialize(self) -> None:
        """Send `initialize` and `notifications/initialized`."""
        params = {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": {"name": "testkit", "version": "1"}}
        self.version = (await self.request("initialize", params))["protocolVersion"]
        await self.notify("notifications/initialized")

    def on_message(self, message: bytes) -> None:
        """Keep a message; have a request of the server's refused."""
        content: Json = json.loads(message)
        self.messages.append(content)
        self.news.set()
        if "method" in content and "id" in content:
            self._asked.send_nowait(content)

    def on_close(self) -> None:
        """Count that the connection is over."""
        self.closings += 1
        self._asked.close()

    async def refuse_requests(self) -> None:
        """Answer the server's requests: there is nothing to ask for."""
        async for asked in self._to_refuse:
            error = {"code": _METHOD_NOT_FOUND, "message": f"Method not found: {asked['method']}"}
            with suppress(ServerUnavailable):  # it has just left
                await self.channel.send(_encode({"jsonrpc": "2.0", "id": asked["id"], "error": error}), self._headers())

    def close(self) -> None:
        """Close what the requests of the server wait in."""
        self._asked.close()
        self._to_refuse.close()

    def _headers(self) -> dict[str, str]:
        return {"mcp-protocol-version": self.version} if self.version else {}


@asynccontextmanager
async def open_channel(connection: AbstractAsyncContextManager[Any]) -> AsyncIterator[ServerChannel]:
    """Open a connection, whichever of the two kinds it yields."""
    async with connection as opened:
        if isinstance(opened, ServerChannel):
            yield opened
        else:
            async with open_stream_channel(*opened) as channel:
                yield channel


@asynccontextmanager
async def session(connection: AbstractAsyncContextManager[Any]) -> AsyncIterator[Session]:
    """Open a connection, shake hands, and close it at the end.

    It yields a `ServerChannel`, or the SDK's pair of streams.

    Raises:
        mcp.MCPError: the server refused.
        ServerUnavailable: it went away.

    """
    async with open_channel(connection) as channel:
        opened = Session(channel)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(opened.refuse_requests)
                await opened.initialize()
                yield opened
                tasks.cancel_scope.cancel()
        finally:
            opened.close()


def _encode(message: Json) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()
