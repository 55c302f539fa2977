"""A server over HTTP+SSE that does what a script says, byte for byte, and a channel to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import anyio
from mcp_gateway_transport_sse import open_client_transport

from mcp_gateway.plugin import Credentials, UrlOptions, open_stream_channel

SECONDS = 20
"""How long a test may take on a slow machine before it counts as hanging."""

STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
ENDPOINT = b"event: endpoint\ndata: /messages?session_id=1\n\n"
ACCEPTED = b"HTTP/1.1 202 Accepted\r\ncontent-length: 8\r\n\r\nAccepted"

Script = Callable[["Server", bytes, bytes, asyncio.StreamWriter], Awaitable[None]]
"""Handles a POST: the server, its head, its body, and the connection to answer on."""


def message(identifier, **members):
    return json.dumps({"jsonrpc": "2.0", "id": identifier, **members}).encode()


def event(data: bytes) -> bytes:
    return b"event: message\ndata: %b\n\n" % data


def refusal(status: str, more: str = "", body: bytes = b"") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{more}\r\n".encode() + body


async def answer_at_once(server, head, body, writer):
    """Accept a message, and answer a request with its own params."""
    writer.write(ACCEPTED)
    content = json.loads(body)
    if "id" in content and "method" in content:
        await server.tell(event(message(content["id"], result=content.get("params", {}))))


@dataclass(eq=False)
class Server:
    """A server whose stream begins with `opening`, and which answers messages by `script`."""

    opening: bytes = STREAM + ENDPOINT
    script: Script = answer_at_once
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    streams: list[asyncio.StreamWriter] = field(default_factory=list)
    asked: anyio.Event = field(default_factory=anyio.Event)
    on_hang_up: Callable[[], None] = lambda: None

    async def tell(self, data: bytes) -> None:
        """Write to the stream that was opened last."""
        self.streams[-1].write(data)
        await self.streams[-1].drain()

    def end_streams(self) -> None:
        for stream in self.streams:
            stream.close()

    async def until_asked(self, count: int) -> None:
        """Wait until so many messages have come."""
        while len(self.bodies) < count:
            self.asked = anyio.Event()
            await self.asked.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.heads.append(head)
                if head.startswith(b"GET"):
                    self.streams.append(writer)
                    writer.write(self.opening)
                    await reader.read()
                    return
                lines = head.lower().split(b"\r\n")
                length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
                self.bodies.append(await reader.readexactly(length))
                self.asked.set()
                await self.script(self, head, self.bodies[-1], writer)
        except (asyncio.IncompleteReadError, OSError):
            self.on_hang_up()
        finally:
            writer.close()


@dataclass(eq=False)
class Heard:
    """What a request's handler hears."""

    outcomes: list = field(default_factory=list)
    ended: anyio.Event = field(default_factory=anyio.Event)

    def on_message(self, message: bytes) -> None:
        raise AssertionError(message)

    def on_response(self, response: bytes) -> None:
        self.outcomes.append(response)
        self.ended.set()

    def on_failure(self, error: Exception) -> None:
        self.outcomes.append(error)
        self.ended.set()

    async def response(self) -> dict:
        await self.ended.wait()
        (outcome,) = self.outcomes
        if isinstance(outcome, Exception):
            raise outcome
        return json.loads(outcome)


@dataclass(eq=False)
class Wire:
    """A channel, and what came unasked."""

    channel: object
    unasked: list[bytes] = field(default_factory=list)
    closed: anyio.Event = field(default_factory=anyio.Event)

    def begin(self, identifier: int = 5, params: object = None, method: str = "tools/call") -> Heard:
        heard = Heard()
        members = {"method": method, "params": {} if params is None else params}
        heard.abandon = self.channel.request(message(identifier, **members), identifier, {}, heard)
        return heard

    async def send(self, identifier: int = 5, params: object = None, method: str = "tools/call") -> dict:
        return await self.begin(identifier, params, method).response()


@asynccontextmanager
async def listening(server: Server, **more: object) -> AsyncIterator[str]:
    """Let a server listen; yield its origin."""
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, **more)
    try:
        with anyio.fail_after(SECONDS):
            yield f"http{'s' if more else ''}://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()
        server.end_streams()


@asynccontextmanager
async def connected(entry: dict, credentials: Credentials | None = None, folder=None) -> AsyncIterator[Wire]:
    """Open the channel of an entry."""
    options = UrlOptions.model_validate(entry, context={"folder": folder})
    async with AsyncExitStack() as stack:
        transport = await stack.enter_async_context(open_client_transport(options))
        streams = await stack.enter_async_context(transport.connect(credentials or Credentials()))
        channel = await stack.enter_async_context(open_stream_channel(*streams))
        wire = Wire(channel)
        channel.start(wire.unasked.append, wire.closed.set)
        yield wire


async def write_for_ever(writer: asyncio.StreamWriter, data: bytes) -> int:
    """Write until the client closes, and return how much."""
    written = 0
    with suppress(OSError):
        while not writer.is_closing():
            writer.write(data)
            written += len(data)
            await writer.drain()
            await asyncio.sleep(0)
    return written
