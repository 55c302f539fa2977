"""What clients send over HTTP, and what must hold whatever it is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from mcp_gateway_transport_http._uvicorn import ServerState
from mcp_gateway_transport_http.http1.connection_bounds import ConnectionBounds
from mcp_gateway_transport_http.http1.connection_registry import ConnectionRegistry
from mcp_gateway_transport_http.options import ListenOptions
from mcp_gateway_transport_http.server.asgi import build_application
from mcp_gateway_transport_http.server.message_endpoint import MessageEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config

from mcp_gateway.plugin import Principal, RawResponse, ResponseWriter
from mcp_gateway_testkit import reference_server

from .targets_http import Nowhere, cut, loop

_DATE = re.compile(rb"\r\ndate: [^\r]*")
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_REFUSAL = re.compile(rb"HTTP/1\.1 [45]\d\d .*", re.DOTALL)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_TURNS = 10
"""After so many turns of the event loop everything that is sent has been answered."""


class Client(Nowhere):
    """The transport of a client that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = bytearray()

    def write(self, data: Any) -> None:
        """Keep it."""
        self.written += data

    def writelines(self, list_of_data: Any) -> None:
        """Keep them."""
        self.written += b"".join(list_of_data)

    def write_eof(self) -> None:
        """Do nothing: what is kept is looked at in the end."""

    def get_write_buffer_size(self) -> int:
        """Return that all was read."""
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Do nothing: all is read."""

    def pause_reading(self) -> None:
        """Do nothing: what was sent has come."""

    resume_reading = pause_reading


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer what is no message with the length of its body."""
    request = Request(scope, receive)
    length = len(await request.body())
    await PlainTextResponse(f"{request.method} {length}")(scope, receive, send)


def dispatch(
    message: bytes, _headers: Mapping[str, str] | None, _principal: Principal | None, writer: ResponseWriter
) -> Callable[[], None] | None:
    """Answer each message with itself; what is none is not for this way."""
    if not message.startswith(b"{"):
        return None
    return asyncio.get_running_loop().call_soon(writer.finish, RawResponse(message)).cancel


@cache
def endpoint() -> tuple[MessageEndpoint, Config]:
    server: Any = reference_server()
    server.dispatch_raw = dispatch
    options = ListenOptions.model_validate({"GATEWAY_HOST": "127.0.0.1", "GATEWAY_PORT": "0"})
    _, built = build_application(server, options, ConnectionRegistry(ConnectionBounds.of(options)))
    assert built is not None
    config = Config(answer, lifespan="off", log_config=None)
    config.load()
    return built, config


def requests(data: bytes) -> None:
    """Whatever a client sends, in whichever pieces: the same responses, and none that blames the gateway."""
    asyncio.set_event_loop(loop())
    whole, pieces = cut(data)
    first, second = (loop().run_until_complete(responses(sent)) for sent in ([whole], pieces))
    assert normalize(first) == normalize(second)
    for status in _STATUS.findall(first + second):
        # 501 and 505 are said of what the client has asked for.
        assert status < b"500" or status in {b"501", b"505"}


def normalize(written: bytes) -> bytes:
    """Return what does not depend on the pieces: with which words a request is refused, and when, does."""
    return _REFUSAL.sub(b"refused", _DATE.sub(b"", written.replace(_CONTINUE, b"")))


async def responses(pieces: list[bytes]) -> bytes:
    """Return what is written to a client that sends these pieces."""
    built, config = endpoint()
    client = Client()
    protocol = built.build_protocol(config, ServerState(), {}, asyncio.get_running_loop())
    protocol.connection_made(client)
    for piece in filter(None, pieces):
        if not client.closed:
            protocol.data_received(piece)
        for _ in range(_TURNS):
            await asyncio.sleep(0)
    protocol.connection_lost(None)
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    assert built.sessions.open_requests.count == 0
    assert built.outbox.requests_in_flight == 0
    return bytes(client.written)
