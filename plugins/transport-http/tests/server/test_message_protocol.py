import contextlib
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

import anyio
import pytest
from anyio.abc import SocketStream

from mcp_gateway.plugin import RawResponse

from ..support import RawCall, RawServer, open_server

HERE = {"GATEWAY_HOST": "127.0.0.1", "GATEWAY_PORT": "0", "GATEWAY_SHUTDOWN_GRACE": "5"}


@asynccontextmanager
async def connected(answering: RawServer, **options: str) -> AsyncIterator[SocketStream]:
    """Serve; yield a connection."""
    async with (
        open_server(answering.served(), {**HERE, **options}, 30) as port,
        await anyio.connect_tcp("127.0.0.1", port) as stream,
    ):
        yield stream


def head(length: int, *more: str, version: str = "1.1") -> bytes:
    lines = [
        f"POST /mcp HTTP/{version}",
        "host: localhost",
        "content-type: application/json",
        "accept: application/json, text/event-stream",
        f"content-length: {length}",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def request(body: bytes, *more: str) -> bytes:
    return head(len(body), *more) + body


async def response(stream: SocketStream) -> tuple[int, dict[str, str], bytes]:
    """Read one response: status, headers, body."""
    with anyio.fail_after(30):
        data = b""
        while b"\r\n\r\n" not in data:
            data += await stream.receive()
        start, _, body = data.partition(b"\r\n\r\n")
        first, *lines = start.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        while len(body) < int(headers["content-length"]):
            body += await stream.receive()
    return int(first.split()[1]), headers, body


async def test_a_plain_call_is_answered_and_the_connection_stays():
    async with connected(RawServer()) as stream:
        for number in range(3):
            await stream.send(request(b'{"plain":%d}' % number))
            status, headers, body = await response(stream)
            assert (status, headers["content-type"], body) == (200, "application/json", b'{"plain":%d}' % number)
            assert "date" in headers
            assert "connection" not in headers


async def test_a_head_that_comes_again_leads_to_the_very_same_headers_and_its_own_body():
    answering = RawServer()
    bodies = [b'{"plain":%d}' % 10**power for power in (0, 0, 3, 20, 0)]
    async with connected(answering) as stream:
        for body in bodies:
            await stream.send(request(body))
            assert (await response(stream))[2] == body
    headers = [call.headers for call in answering.calls]
    assert all("content-length" not in fields for fields in headers), "it would be that of another body"
    assert headers[1] is headers[0], "the core knows the caller by it"


class Naming(RawServer):
    """Answers a plain call with the value of its header `who`."""

    def answer(self, call: RawCall) -> None:
        call.writer.finish(RawResponse(call.headers.get("who", "nobody").encode()))


TOKENED = "x-mcp-gateway-token: secret-token"
OTHERS = {
    "is not plain": request(b"[]", TOKENED, "who: bob"),
    "is refused": request(b'{"plain":1}', "x-mcp-gateway-token: secret-tokem", "who: bob"),
    "has no token": request(b'{"plain":1}', "who: bob"),
    "is too long": request(b'{"plain":"%s"}' % (b"x" * 2000), TOKENED, "who: bob"),
    "goes elsewhere": request(b'{"plain":1}', TOKENED, "who: bob").replace(b"/mcp", b"/health"),
    "has an Origin": request(b'{"plain":1}', TOKENED, "who: bob", "origin: https://evil.example"),
    "is a GET": request(b"", TOKENED, "who: bob").replace(b"POST", b"GET"),
    "is plain": request(b'{"plain":1}', TOKENED, "who: bob"),
    "has no name": request(b'{"plain":1}', TOKENED),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
async def test_what_another_request_says_is_never_taken_for_what_this_one_says(other):
    alice = request(b'{"plain":1}', TOKENED, "who: alice")
    async with connected(Naming(), GATEWAY_AUTH_TOKEN="secret-token", GATEWAY_MAX_REQUEST_BYTES="1000") as stream:
        for _ in range(3):
            for _ in range(2):
                await stream.send(alice)
                assert (await response(stream))[2] == b"alice"
            await stream.send(other)
            assert (await response(stream))[2] not in (b"alice", b"")


@pytest.mark.parametrize("cut", [0, 1, 30, -1])
async def test_what_comes_in_the_same_piece_is_not_taken_for_one_another(cut):
    alice, bob = (request(b'{"plain":1}', f"who: {name}") for name in ("alice", "bob"))
    async with connected(Naming()) as stream:
        for _ in range(3):
            await stream.send(alice + bob + alice[:cut])
            assert await bodies(stream, 2) == [b"alice", b"bob"]
            await stream.send(alice[cut:])
            assert await bodies(stream, 1) == [b"alice"]


async def bodies(stream: SocketStream, count: int) -> list[bytes]:
    """Read so many answers of `Naming`."""
    data = b""
    with anyio.fail_after(30):
        while data.count(b"HTTP/1.1 200 OK") < count or not data.endswith((b"alice", b"bob")):
            data += await stream.receive()
    return [answer.split(b"\r\n\r\n")[1] for answer in data.split(b"HTTP/1.1 200 OK\r\n")[1:]]


async def test_what_is_not_plain_goes_the_usual_way_behind_the_same_head():
    async with connected(RawServer()) as stream:
        for _ in range(2):
            await stream.send(request(b'{"plain":1}'))
            assert (await response(stream))[0] == 200
            await stream.send(request(b"[]"))
            assert (await response(stream))[0] == 400


@pytest.mark.parametrize("again", ["", "Bearer secret-toker", "Bearer secret-token2"])
async def test_the_gate_looks_at_every_request_of_a_connection(again):
    async with connected(RawServer(), GATEWAY_AUTH_TOKEN="secret-token") as stream:
        for _ in range(2):
            await stream.send(request(b'{"plain":1}', "authorization: Bearer secret-token"))
            assert (await response(stream))[0] == 200
        await stream.send(request(b'{"plain":1}', f"authorization: {again}"))
        assert (await response(stream))[0] == 401


async def test_a_connection_that_is_not_used_any_more_is_closed():
    async with connected(RawServer()) as stream:
        for _ in range(3):
            await stream.send(request(b'{"plain":1}'))
            await response(stream)
        with pytest.raises(anyio.EndOfStream), anyio.fail_after(30):
            await stream.receive()


async def test_a_body_that_does_not_come_behind_a_known_head_is_not_waited_for():
    async with connected(RawServer(), GATEWAY_BODY_TIMEOUT="0.2", GATEWAY_KEEP_ALIVE_TIMEOUT="3600") as stream:
        await stream.send(request(b'{"plain":1}'))
        await response(stream)
        await stream.send(head(11))
        with pytest.raises(anyio.EndOfStream), anyio.fail_after(30):
            await stream.receive()


async def test_an_answer_may_be_an_event_of_a_stream():
    async with connected(RawServer()) as stream:
        await stream.send(request(b'{"plain":"streamed"}'))
        status, headers, body = await response(stream)
    assert (status, headers["content-type"]) == (200, "text/event-stream")
    assert body == b'event: message\r\ndata: {"plain":"streamed"}\r\n\r\n'


async def test_a_body_may_come_in_pieces():
    body = b'{"plain":"%s"}' % (b"x" * 1_000_000)
    async with connected(RawServer()) as stream:
        await stream.send(head(len(body)))
        for at in range(0, len(body), 100_000):
            await stream.send(body[at : at + 100_000])
        assert (await response(stream))[2] == body


async def test_what_is_not_plain_goes_the_usual_way_as_it_came():
    async with connected(RawServer()) as stream:
        body = b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25",'
        body += b'"capabilities":{},"clientInfo":{"name":"x","version":"1"}}}'
        await stream.send(head(len(body)))
        await stream.send(body[:50])
        await stream.send(body[50:])
        with anyio.fail_after(30):
            assert (await stream.receive()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("more", ["content-encoding: gzip", "host: localhost", "origin: https://evil.example"])
async def test_unusual_headers_are_for_the_usual_way(more):
    answering = RawServer()
    async with connected(answering) as stream:
        await stream.send(request(b'{"plain":1}', more))
        assert (await response(stream))[0] >= 400
    assert not answering.came.is_set()


async def test_a_request_behind_another_waits_for_its_turn():
    async with connected(RawServer()) as stream:
        await stream.send(request(b'{"plain":1}') + request(b"[]", "connection: close"))
        data = b""
        with anyio.fail_after(30), contextlib.suppress(anyio.EndOfStream):
            while True:
                data += await stream.receive()
    first, second = data.split(b"HTTP/1.1 ")[1:]
    assert first.startswith(b"200 ")
    assert first.endswith(b'{"plain":1}')
    assert second.startswith(b"400 ")


async def test_a_client_that_leaves_gives_its_call_up():
    answering = RawServer()
    answering.hold()
    async with connected(answering) as stream:
        await stream.send(request(b'{"plain":1}'))
        with anyio.fail_after(30):
            await answering.came.wait()
            await stream.aclose()
            await answering.abandoned.wait()


async def test_a_client_with_a_session_may_leave_and_its_call_goes_on():
    answering = RawServer()
    answering.hold()
    async with connected(answering) as stream:
        await stream.send(request(b'{"plain":1}', "mcp-session-id: x"))
        with anyio.fail_after(30):
            await answering.came.wait()
        await stream.aclose()
        assert not answering.abandoned.is_set()


@pytest.mark.parametrize("has_session", [True, False])
async def test_whether_a_call_is_abandoned_depends_on_its_own_session_not_on_that_of_another_request(has_session):
    answering = RawServer()
    kinds: tuple[list[str], list[str]] = ["mcp-session-id: x"], []
    own, other = kinds if has_session else kinds[::-1]
    async with connected(answering) as stream:
        for body in (b'{"plain":1}', b"[]"):
            await stream.send(request(body, *other))
            await response(stream)
        answering.hold()
        await stream.send(request(b'{"plain":2}', *own))
        with anyio.fail_after(30):
            await answering.came.wait()
            await stream.aclose()
            if not has_session:
                await answering.abandoned.wait()
    assert answering.abandoned.is_set() != has_session


class Broken(RawServer):
    """Fails at each message."""

    def dispatch_raw(self, *_: object) -> NoReturn:  # type: ignore[override]
        raise RuntimeError("broken")


async def test_a_call_that_fails_inside_is_a_500_and_others_go_on(caplog, monkeypatch):
    for name in ("uvicorn", "uvicorn.error"):  # other tests of the process may have silenced them
        caplog.set_level(logging.ERROR, name)
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
        monkeypatch.setattr(logging.getLogger(name), "disabled", False)
    async with connected(Broken()) as stream:
        await stream.send(request(b'{"plain":1}'))
        status, headers, _ = await response(stream)
        assert (status, headers["connection"]) == (500, "close")
    assert "dispatch failed" in caplog.text


async def test_a_request_that_says_close_is_answered_and_closed():
    async with connected(RawServer()) as stream:
        await stream.send(request(json.dumps({"plain": 1}).encode(), "connection: close"))
        _, headers, _ = await response(stream)
        assert headers["connection"] == "close"
        with pytest.raises(anyio.EndOfStream), anyio.fail_after(30):
            await stream.receive()


async def test_a_body_that_grows_beyond_the_bound_is_refused():
    async with connected(RawServer(), GATEWAY_MAX_REQUEST_BYTES="1000") as stream:
        await stream.send(head(0).replace(b"content-length: 0", b"transfer-encoding: chunked"))
        await stream.send(b"7d0\r\n" + b'{"plain":"' + b"x" * 1990 + b"\r\n0\r\n\r\n")
        with anyio.fail_after(30):
            assert (await stream.receive()).startswith(b"HTTP/1.1 413 ")
