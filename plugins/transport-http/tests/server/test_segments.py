"""Requests mean the same however a connection is cut into pieces: what was remembered changes nothing."""

import asyncio
import random
from itertools import pairwise
from typing import Any

import pytest
from mcp_gateway_transport_http._uvicorn import ServerState
from mcp_gateway_transport_http.http1.connection_bounds import ConnectionBounds
from mcp_gateway_transport_http.http1.connection_registry import ConnectionRegistry
from mcp_gateway_transport_http.options import ListenOptions
from mcp_gateway_transport_http.server.asgi import build_application
from mcp_gateway_transport_http.server.message_endpoint import MessageEndpoint
from mcp_gateway_transport_http.server.message_protocol import MessageProtocol
from uvicorn.config import Config

from ..support import RawServer


class Memory(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = b""
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def writelines(self, list_of_data: Any) -> None:
        self.written += b"".join(list_of_data)

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def write_eof(self) -> None: ...


def connected(server: RawServer) -> tuple[MessageProtocol, Memory]:
    options = ListenOptions.model_validate({"GATEWAY_HOST": "127.0.0.1"})
    app, endpoint = build_application(server.served(), options, ConnectionRegistry(ConnectionBounds.of(options)))
    assert isinstance(endpoint, MessageEndpoint)
    config = Config(app, lifespan="off")
    config.load()
    protocol, transport = endpoint.build_protocol(config, ServerState(), {}), Memory()
    protocol.connection_made(transport)
    return protocol, transport


def request_of(number: int, dice: random.Random) -> bytes:
    """Return a request that says in its head and in its body who it is."""
    name = dice.choice("abcdefg")
    body = b'{"plain":"%b-%d","x":"%b"}' % (name.encode(), number, b"\\r\\n\\r\\nPOST" * dice.choice([0, 0, 1, 300]))
    lines = [
        "POST /mcp HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        f"who: {name}",
    ]
    if dice.random() < 0.2:
        half = dice.randrange(1, len(body))
        pieces = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:half], body[half:]))
        return "\r\n".join([*lines, "transfer-encoding: chunked", "", ""]).encode() + pieces + b"0\r\n\r\n"
    lines.insert(dice.randrange(1, 6), f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.mark.parametrize("seed", range(40))
async def test_a_connection_cut_anywhere_carries_the_same_requests(seed):
    dice, server = random.Random(seed), RawServer()
    protocol, transport = connected(server)
    requests = [request_of(number, dice) for number in range(60)]
    data, ends = b"".join(requests), [0]
    for request in requests:
        ends.append(ends[-1] + len(request))
    # Some cuts between requests, some behind heads, some anywhere.
    heads = [end + request.index(b"\r\n\r\n") + 4 for end, request in zip(ends, requests, strict=False)]
    cuts = {*dice.sample(ends, 40), *dice.sample(heads, 40), *dice.sample(range(len(data)), 20), 0, len(data)}
    for begin, end in pairwise(sorted(cuts)):
        protocol.data_received(data[begin:end])
        for _ in range(dice.choice([0, 1, 4])):
            await asyncio.sleep(0)
    for _ in range(1000):
        await asyncio.sleep(0)
    assert not transport.is_closed
    bodies = [call.message for call in server.calls]
    assert [int(body.split(b"-")[1].split(b'"')[0]) for body in bodies] == list(range(60))
    assert [body[10:11] for body in bodies] == [call.headers["who"].encode() for call in server.calls]
    assert all(call.headers.get("content-length") in (None, str(len(call.message))) for call in server.calls)
    assert [part.partition(b"\r\n\r\n")[2] for part in transport.written.split(b"HTTP/1.1 200 OK")[1:]] == bodies
