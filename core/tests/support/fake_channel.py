"""A server at the other end of a channel of bytes: what it sends, and when, is what the test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio

from mcp_gateway.plugin import Credentials, ResponseHandler
from mcp_gateway.protocol.envelope import parse_message

from .fake_servers import Json, tool, until

MODERN, HANDSHAKE = "2026-07-28", "2025-11-25"


@dataclass(eq=False)
class SentRequest:
    """A request that has reached the server; each of its methods plays one thing that a server does."""

    message: bytes
    request_id: int
    headers: Mapping[str, str]
    handler: ResponseHandler
    is_abandoned: bool = False

    @property
    def content(self) -> Json:
        content: Json = json.loads(self.message)
        return content

    @property
    def method(self) -> str:
        return str(parse_message(self.message).method)

    def respond(self, result: Any = None, **members: Any) -> None:
        content = members or {"result": result or {}}
        self.send(json.dumps({"jsonrpc": "2.0", "id": self.request_id, **content}).encode())

    def send(self, response: bytes) -> None:
        self.handler.on_response(response)

    def fail(self, error: Exception) -> None:
        self.handler.on_failure(error)

    def tell(self, method: str, params: Json, **members: Any) -> None:
        """Send a message on the stream of this request."""
        content = {"jsonrpc": "2.0", "method": method, "params": params, **members}
        self.handler.on_message(json.dumps(content).encode())


@dataclass(eq=False)
class FakeServer:
    """A client transport to a server, and the channel to it; it answers handshakes and lists by itself.

    `requests` has the others, `raw_sent` the notifications and responses that the gateway has sent. With `faults`, the
    requests end with these errors, one each.
    """

    modern: bool = True
    capabilities: Json = field(default_factory=lambda: {"tools": {}})
    carries_credentials: bool = True
    requests: list[SentRequest] = field(default_factory=list)
    raw_sent: list[bytes] = field(default_factory=list)
    is_paused: bool = False
    pauses: int = 0
    opened: list[dict[str, str]] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    may_take: anyio.Event | None = None
    """Before it is set, what the gateway sends beside requests is not taken."""
    describe_unreadable: Callable[[int | None], str] = lambda _: ""
    _on_message: Callable[[bytes], None] = print
    _on_close: Callable[[], None] = print

    @property
    def sent(self) -> list[Json]:
        return [json.loads(message) for message in self.raw_sent]

    @asynccontextmanager
    async def connect(self, credentials: Credentials) -> AsyncIterator[Any]:
        self.opened.append(credentials.headers)
        yield self

    def start(self, on_message: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        self._on_message, self._on_close = on_message, on_close

    def request(
        self, message: bytes, request_id: int, headers: Mapping[str, str], handler: ResponseHandler
    ) -> Callable[[], None]:
        request = SentRequest(message, request_id, headers, handler)
        answer = self._answer(request.method)
        if answer is not None:
            asyncio.get_running_loop().call_soon(lambda: request.respond(**answer))
        else:
            self.requests.append(request)
            if self.faults:
                asyncio.get_running_loop().call_soon(request.fail, self.faults.pop(0))

        def abandon() -> None:
            assert not request.is_abandoned, "abandoned twice"
            request.is_abandoned = True

        return abandon

    async def send(self, message: bytes, headers: Mapping[str, str]) -> None:
        if self.may_take is not None:
            await self.may_take.wait()
        if parse_message(message).method != "notifications/initialized":
            self.raw_sent.append(message)

    def set_reading_paused(self, *, paused: bool) -> None:
        assert paused != self.is_paused, "paused or resumed twice"
        self.is_paused = paused
        self.pauses += paused

    def say(self, message: bytes | Json) -> None:
        """Send a message that belongs to no request."""
        self._on_message(message if isinstance(message, bytes) else json.dumps(message).encode())

    def tell(self, method: str, params: Json | None = None, **members: Any) -> None:
        """Send a notification, or with an `id` a request, that belongs to no request."""
        self.say({"jsonrpc": "2.0", "method": method, "params": params or {}, **members})

    def close(self) -> None:
        self._on_close()

    async def next_request(self, count: int = 1) -> SentRequest:
        """Wait until so many requests have come; return the last one."""
        await until(lambda: len(self.requests) >= count)
        return self.requests[count - 1]

    def _answer(self, method: str) -> Json | None:
        if method == "server/discover":
            result = {"resultType": "complete", "supportedVersions": [MODERN], "capabilities": self.capabilities}
            return {"result": result} if self.modern else {"error": {"code": -32601, "message": "no"}}
        if method == "initialize":
            info = {"name": "fake", "version": "1"}
            return {"result": {"protocolVersion": HANDSHAKE, "capabilities": self.capabilities, "serverInfo": info}}
        return {"result": {"tools": [tool("x")]}} if method == "tools/list" else None
