"""A server over HTTP that writes what a script has, byte for byte, and a client that hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from mcp_gateway_transport_http.client.carriers.direct_carrier import DirectCarrier
from mcp_gateway_transport_http.client.carriers.httpx_carrier import HttpxCarrier
from mcp_gateway_transport_http.client.channel import HttpChannel
from mcp_gateway_transport_http.client.request_target import Endpoint
from mcp_gateway_transport_http.client.responses.limits import MAX_MESSAGE_BYTES
from mcp_gateway_transport_http.client.session import HttpSession
from mcp_gateway_transport_http.client_transport import load_certificates

MESSAGE = b'{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{}}'
ANSWER = b'{"jsonrpc":"2.0","id":5,"result":{}}'
NEWS = b'{"jsonrpc":"2.0","method":"notifications/message","params":{}}'
CARRIERS = {"direct": DirectCarrier, "httpx": HttpxCarrier}
SECONDS = 20
"""How long a test may take on a slow machine before it counts as hanging."""

Write = Callable[[asyncio.StreamWriter], Awaitable[None]]
Script = bytes | None | Write
"""What is written in answer to a request; None is silence, an empty one closes, a function writes by itself."""


class Early(bytes):
    """An answer that comes before the body is read; nothing is read any more."""


def response(body: bytes, status: str = "200 OK", kind: str = "application/json", more: str = "") -> bytes:
    """Write a response that says how long it is."""
    return (
        f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{more}\r\n".encode("latin-1")
        + body
    )


def chunked(*pieces: bytes, kind: str = "text/event-stream", more: str = "") -> bytes:
    """Write a response in chunks."""
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n{more}\r\n".encode("latin-1")
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def events(*data: bytes, more: str = "") -> bytes:
    """Write a stream of events with ids."""
    body = b"".join(b"id: %d\ndata: %b\n\n" % (number, one) for number, one in enumerate(data, 1))
    return response(body, kind="text/event-stream", more=more)


@dataclass(eq=False)
class Heard:
    """What a request's handler hears, in its order."""

    messages: list[bytes] = field(default_factory=list)
    outcomes: list[bytes | Exception] = field(default_factory=list)
    ended: anyio.Event = field(default_factory=anyio.Event)
    moved: anyio.Event = field(default_factory=anyio.Event)

    def on_message(self, message: bytes) -> None:
        assert self.outcomes == []
        self.messages.append(message)
        self.moved.set()

    def on_response(self, response: bytes) -> None:
        self._end(response)

    def on_failure(self, error: Exception) -> None:
        self._end(error)

    def _end(self, outcome: bytes | Exception) -> None:
        self.outcomes.append(outcome)
        self.ended.set()

    async def response(self) -> bytes:
        """Wait for the response, or raise why there is none."""
        await self.ended.wait()
        (outcome,) = self.outcomes
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@dataclass(eq=False)
class Wire:
    """A channel to a scripted server, and what both have got."""

    channel: HttpChannel
    session: HttpSession
    carrier: DirectCarrier | HttpxCarrier
    requests: list[bytes] = field(default_factory=list)
    unasked: list[bytes] = field(default_factory=list)
    closings: list[int] = field(default_factory=list)
    asked: anyio.Event = field(default_factory=anyio.Event)
    over: anyio.Event = field(default_factory=anyio.Event)
    connections: int = 0

    def begin(
        self, headers: dict[str, str] | None = None, message: bytes = MESSAGE, request_id: int = 5
    ) -> tuple[Heard, Callable[[], None]]:
        """Send a request without waiting."""
        heard = Heard()
        abandon = self.channel.request(message, request_id, headers or {}, heard)
        assert heard.outcomes == [], "nothing is told before the method has returned"
        return heard, abandon

    async def send(self, headers: dict[str, str] | None = None, message: bytes = MESSAGE) -> bytes:
        """Send a request and wait for its response."""
        heard, _ = self.begin(headers, message)
        return await heard.response()

    async def until_asked(self, count: int) -> None:
        """Wait until the server has got so many requests."""
        while len(self.requests) < count:
            self.asked = anyio.Event()
            await self.asked.wait()


@asynccontextmanager
async def scripted(
    *answers: Script, carrier: str = "direct", max_bytes: int = MAX_MESSAGE_BYTES
) -> AsyncIterator[Wire]:
    """Open a channel to a server that answers each request with what comes next, on whichever connection it comes."""
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.lower().split(b"\r\n")
                length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
                answer = left.pop(0) if left else b""
                wire.requests.append(head if isinstance(answer, Early) else head + await reader.readexactly(length))
                wire.asked.set()
                if answer is None:
                    await reader.read()
                    break
                if not answer:
                    break
                await answer(writer) if callable(answer) else writer.write(answer)
                if isinstance(answer, Early):
                    await wire.over.wait()
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    session = HttpSession(Endpoint.of(f"http://127.0.0.1:{port}/mcp?a=b"), {"authorization": "Bearer me"})
    carried = CARRIERS[carrier](load_certificates, None)
    wire = Wire(HttpChannel(session, carried, max_bytes), session, carried)
    wire.channel.start(wire.unasked.append, lambda: wire.closings.append(1))
    try:
        with anyio.fail_after(SECONDS):
            yield wire
            await wire.channel.aclose()
    finally:
        wire.over.set()
        await wire.channel.aclose()
        listening.close()
