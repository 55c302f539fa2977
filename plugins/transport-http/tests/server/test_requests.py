"""Requests in any legal form: each is offered to the server, or goes on to ASGI as it came."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream
from mcp_gateway_transport_http._uvicorn import ServerState
from mcp_gateway_transport_http.auth.bearer import Admission, Refusal
from mcp_gateway_transport_http.http1 import connection_registry
from mcp_gateway_transport_http.http1.connection_bounds import ConnectionBounds
from mcp_gateway_transport_http.http1.connection_registry import ConnectionRegistry
from mcp_gateway_transport_http.options import ListenOptions
from mcp_gateway_transport_http.server.asgi import build_application
from mcp_gateway_transport_http.server.message_endpoint import MessageEndpoint
from uvicorn.config import Config

from mcp_gateway.plugin import Principal, RawResponse

from ..support import RawCall, RawServer, open_server

HERE = {"GATEWAY_HOST": "127.0.0.1", "GATEWAY_PORT": "0", "GATEWAY_SHUTDOWN_GRACE": "0"}
BODY = b'{"plain":1}'
JSON, ACCEPT = "content-type: application/json", "accept: application/json, text/event-stream"
INFO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
INITIALIZE = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INFO}).encode()


def request(
    *lines: str, body: bytes = BODY, start: str = "POST /mcp HTTP/1.1", host: str | None = "host: localhost"
) -> bytes:
    """Return a request with usual headers, or with `lines` in their place, and its length."""
    given = lines or (JSON, ACCEPT)
    head = [start, *([host] if host else []), *given]
    if not any(line.lower().startswith("transfer-encoding") for line in given):
        head.append(f"content-length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode() + body


@asynccontextmanager
async def connected(server: RawServer, **options: str) -> AsyncIterator[SocketStream]:
    async with (
        open_server(server.served(), {**HERE, **options}, 60) as port,
        await anyio.connect_tcp("127.0.0.1", port) as stream,
    ):
        yield stream


async def receive(stream: SocketStream, end: bytes) -> bytes:
    """Read until there is `end`, or the connection is closed."""
    data = b""
    with anyio.fail_after(30), contextlib.suppress(anyio.EndOfStream):
        while end not in data:
            data += await stream.receive()
    return data


async def send_pieces(stream: SocketStream, pieces: Sequence[bytes]) -> None:
    """Send pieces, each of which arrives alone."""
    for piece in pieces:
        await stream.send(piece)
        with anyio.move_on_after(0.03):
            await anyio.sleep_forever()


CHUNKED = ("transfer-encoding: chunked", JSON, ACCEPT)
REQUESTS = {
    "usual": request(),
    "another case": request(
        "Content-Type: Application/JSON; Charset=UTF-8", "ACCEPT: application/json,text/event-stream"
    ),
    "a space before the parameter": request("content-type: application/json ;charset=utf-8", ACCEPT),
    "a name of its own": request("content-type: application/vnd.api+json", ACCEPT),
    "accept in two lines": request(JSON, "accept: application/json", "accept: text/event-stream"),
    "accepts anything": request(JSON, "accept: */*"),
    "accept with weights": request(JSON, "accept: text/event-stream;q=0.5, application/json;q=0.9"),
    "usual clients' headers": request(
        JSON,
        ACCEPT,
        "user-agent: x",
        "accept-encoding: gzip, br",
        "connection: keep-alive",
        "cookie: a=b",
        "cookie: c=d",
    ),
    "identity": request(JSON, ACCEPT, "content-encoding: identity"),
    "an id of an event": request(JSON, ACCEPT, "last-event-id: 7"),
    "upgrade": request(JSON, ACCEPT, "connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: x"),
    "a local origin": request(JSON, ACCEPT, "origin: http://localhost:6274"),
    "a query": request(start="POST /mcp?x=y HTTP/1.1"),
    "an escaped path": request(start="POST /%6dcp HTTP/1.1"),
    "an absolute target": request(start="POST http://localhost/mcp HTTP/1.1"),
    "http/1.0": request(start="POST /mcp HTTP/1.0"),
    "chunks": request(*CHUNKED, body=b"4;x=y\r\n" + BODY[:4] + b"\r\n7\r\n" + BODY[4:] + b"\r\n0\r\n\r\n"),
    "a byte order mark": request(body=b"\xef\xbb\xbf" + BODY),
    "space around it": request(body=b"\r\n " + BODY),
    "an array of one": request(body=b" [ " + BODY + b" ] "),
    "a wait for 100 that is not waited for": request(JSON, ACCEPT, "expect: 100-continue"),
}


@pytest.mark.parametrize("data", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("cuts", ["whole", "head and body", "in the head", "in the body", "three"])
async def test_a_message_is_dispatched_in_whatever_form_it_comes(data, cuts):
    end = data.index(b"\r\n\r\n") + 4
    at = {"whole": (), "head and body": (end,), "in the head": (20,), "in the body": (end + 3,), "three": (30, end + 5)}
    edges = [0, *at[cuts], len(data)]
    server = RawServer()
    async with connected(server) as stream:
        for _ in range(1 if b"HTTP/1.0" in data else 3):
            await send_pieces(stream, [data[begin:stop] for begin, stop in pairwise(edges)])
            assert (
                (await receive(stream, BODY)).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").startswith(b"HTTP/1.1 200")
            )
    assert {call.message.strip() for call in server.calls} == {BODY}


LEFT = {
    "no content type": (request(ACCEPT), b"400"),
    "text": (request("content-type: text/plain", ACCEPT), b"400"),
    "a form": (request("content-type: application/x-www-form-urlencoded", ACCEPT), b"400"),
    "json alone": (request(JSON, "accept: application/json"), b"406"),
    "no accept": (request(JSON), b"406"),
    "gzip": (request(JSON, ACCEPT, "content-encoding: gzip"), b"400"),
    "two hosts": (request(JSON, ACCEPT, "host: localhost"), b"400"),
    "a foreign origin": (request(JSON, ACCEPT, "origin: https://evil.example"), b"403"),
    "a foreign host": (request(host="host: evil.example"), b"421"),
    "an array of two": (request(body=b"[%b,%b]" % (BODY, BODY)), b"400"),
    "an array of none": (request(body=b"[]"), b"400"),
    "nothing": (request(body=b""), b"400"),
    "another path": (request(start="POST /mcp/x HTTP/1.1"), b"404"),
}


@pytest.mark.parametrize("data, status", LEFT.values(), ids=LEFT)
async def test_what_carries_no_message_or_comes_from_outside_is_not_dispatched(data, status):
    server = RawServer()
    async with connected(server) as stream:
        await stream.send(data)
        assert (await receive(stream, b"\r\n\r\n")).split(b" ")[1] == status
    assert server.calls == []


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON;charset=utf-8"])
@pytest.mark.parametrize(
    "accept", [[ACCEPT], ["accept: application/json", "accept: text/event-stream"]], ids=["one", "two"]
)
@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf"], ids=["plain", "mark"])
async def test_what_the_server_does_not_take_is_read_as_generously(content_type, accept, before):
    async with connected(RawServer()) as stream:
        await stream.send(request(f"content-type: {content_type}", *accept, body=before + INITIALIZE))
        data = await receive(stream, b'"serverInfo"')
    assert data.startswith(b"HTTP/1.1 200")
    assert b"mcp-session-id: " in data


async def test_header_fields_in_several_lines_are_one_list():
    server = RawServer()
    async with connected(server) as stream:
        await stream.send(request(JSON, ACCEPT, "cookie: a=b", "cookie: c=d", "x-list: 1", "X-List: 2"))
        await receive(stream, BODY)
    assert (server.calls[0].headers["cookie"], server.calls[0].headers["x-list"]) == ("a=b; c=d", "1, 2")


async def test_who_waits_for_100_hears_it_once_before_the_body():
    server = RawServer()
    data = request(JSON, ACCEPT, "expect: 100-continue")
    end = data.index(b"\r\n\r\n") + 4
    async with connected(server) as stream:
        for _ in range(2):
            await stream.send(data[:end])
            assert await receive(stream, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            await stream.send(data[end:])
            answer = await receive(stream, BODY)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"100 Continue" not in answer


async def test_pipelined_requests_are_answered_in_their_order():
    server = RawServer()
    bodies = [b'{"plain":%d}' % number for number in range(10)]
    async with connected(server) as stream:
        server.hold()
        await stream.send(b"".join(request(body=body) for body in bodies))
        with anyio.fail_after(30):
            await server.came.wait()
        assert server.count == 1
        server.release()
        data = await receive(stream, bodies[-1])
    assert [part.partition(b"\r\n\r\n")[2] for part in data.split(b"HTTP/1.1 ")[1:]] == bodies


async def test_web_pages_that_may_ask_can_read_the_answer():
    async with connected(RawServer(), GATEWAY_CORS_ORIGINS="https://app.example") as stream:
        for _ in range(2):
            await stream.send(request(JSON, ACCEPT, "origin: https://app.example"))
            data = await receive(stream, BODY)
            assert b"\r\naccess-control-allow-origin: https://app.example\r\n" in data
            assert b"Mcp-Session-Id" in data
        await stream.send(request())
        assert b"access-control" not in await receive(stream, BODY)


async def test_too_many_open_requests_are_refused_whichever_way_they_go():
    server = RawServer()
    async with (
        open_server(server.served(), {**HERE, "GATEWAY_MAX_REQUESTS": "1"}, 60) as port,
        await anyio.connect_tcp("127.0.0.1", port) as one,
        await anyio.connect_tcp("127.0.0.1", port) as two,
    ):
        server.hold()
        await one.send(request())
        with anyio.fail_after(30):
            await server.came.wait()
        await two.send(request())
        data = await receive(two, b"GATEWAY_MAX_REQUESTS")
        assert data.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after" in data
        server.release()
        await receive(one, BODY)
        await two.send(request())
        assert (await receive(two, BODY)).startswith(b"HTTP/1.1 200 ")
    assert server.count == 2


@pytest.mark.parametrize("is_split", [False, True])
async def test_the_heads_of_several_tools_are_remembered_apart(is_split):
    server = RawServer()
    names = [f"tool-{number}" for number in range(6)]
    async with connected(server) as stream:
        for name in [*names, *names, *reversed(names)]:
            data = request(JSON, ACCEPT, f"mcp-name: {name}", body=b'{"plain":"%b"}' % name.encode())
            end = data.index(b"\r\n\r\n") + 4 if is_split else 0
            await send_pieces(stream, [piece for piece in (data[:end], data[end:]) if piece])
            await receive(stream, name.encode())
    assert [call.headers["mcp-name"] for call in server.calls] == [
        json.loads(call.message)["plain"] for call in server.calls
    ]


# -- what comes before the response


class Telling(RawServer):
    """Tells three things before it answers, in one turn of the loop, or none."""

    def answer(self, call: RawCall) -> None:
        for number in range(3):
            call.writer.write(b'{"news":%d}' % number)
        size = 100_000 if b"large" in call.message else 0
        call.writer.finish(RawResponse(call.message + b" " * size))


@pytest.mark.parametrize("body", [BODY, b'{"plain":"large"}'])
async def test_news_and_their_answer_come_in_their_order_and_the_connection_stays(body):
    async with connected(Telling()) as stream:
        for _ in range(3):
            await stream.send(request(body=body))
            data = await receive(stream, b"\r\n0\r\n\r\n")
            assert b"transfer-encoding: chunked" in data
            found = [line[6:].strip() for line in data.splitlines() if line.startswith(b"data: ")]
            assert found == [b'{"news":0}', b'{"news":1}', b'{"news":2}', body]


async def test_news_for_a_client_of_http_1_0_end_with_the_connection():
    async with connected(Telling()) as stream:
        await stream.send(request(start="POST /mcp HTTP/1.0"))
        data = await receive(stream, b"never")
    assert b"transfer-encoding" not in data
    assert data.endswith(b'data: {"news":2}\r\n\r\nevent: message\r\ndata: {"plain":1}\r\n\r\n')


# -- a server with bounds of a test's own


@asynccontextmanager
async def serving(server: RawServer, gate: Any = None, **bounds: float) -> AsyncIterator[int]:
    """Serve with these bounds, and with another gate; yield the port."""
    options = ListenOptions.model_validate(HERE)
    registry = ConnectionRegistry(replace(ConnectionBounds.of(options), **bounds))
    app, endpoint = build_application(server.served(), options, registry)
    assert isinstance(endpoint, MessageEndpoint)
    endpoint = endpoint if gate is None else replace(endpoint, gate=gate)
    config, state = Config(app, lifespan="off"), ServerState()
    config.load()
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: endpoint.build_protocol(config, state, {}, loop), "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        for connection in tuple(state.connections):
            connection.transport.abort()


async def test_a_call_that_takes_long_is_a_stream_with_comments(monkeypatch):
    monkeypatch.setattr(connection_registry, "SWEEP_INTERVAL", 0.02)
    server = RawServer()
    server.hold()
    async with serving(server, ping_interval=0.1) as port, await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(request())
        data = await receive(stream, b": ping\r\n\r\n\r\n")
        assert data.startswith(b"HTTP/1.1 200 ")
        assert b"content-type: text/event-stream" in data
        await receive(stream, b": ping\r\n\r\n")
        server.release()
        assert b'data: {"plain":1}\r\n\r\n\r\n0\r\n\r\n' in await receive(stream, b"\r\n0\r\n\r\n")
        server.held = None
        await stream.send(request())
        assert b"content-length: 11" in await receive(stream, BODY)


class AskingGate:
    """Has to ask somebody about each request, as one with an authorization server does."""

    is_constant = False

    def __init__(self, decision: str) -> None:
        self.decision, self.asked, self.may = decision, anyio.Event(), anyio.Event()

    def admit(self, _scope: Any) -> None:
        return None

    async def check(self, scope: Any) -> Admission | Refusal:
        self.asked.set()
        await self.may.wait()
        if self.decision == "fails":
            raise RuntimeError("no keys")
        return (
            Admission(scope, Principal("https://login.example", "ann")) if self.decision == "in" else Refusal(401, "x")
        )


@pytest.mark.parametrize("decision", ["in", "out", "fails"])
@pytest.mark.parametrize("cut", [0, 5])
async def test_a_request_whose_token_must_be_checked_is_dispatched_after_that(decision, cut):
    server, gate = RawServer(), AskingGate(decision)
    data = request()
    async with serving(server, gate) as port, await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(data[: len(data) - cut])
        with anyio.fail_after(30):
            await gate.asked.wait()
        await stream.send(data[len(data) - cut :] + data)
        assert server.calls == []
        gate.may.set()
        if decision == "in":
            answers = await receive(stream, BODY)
            while answers.count(BODY) < 2:
                answers += await receive(stream, BODY)
            assert answers.count(b"HTTP/1.1 200 ") == 2
    assert {call.principal and call.principal.subject for call in server.calls} == (
        {"ann"} if decision == "in" else set()
    )
