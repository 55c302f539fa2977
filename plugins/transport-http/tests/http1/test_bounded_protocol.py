"""What somebody without the token can take of the gateway by connections, while others are served."""

import contextlib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import SocketStream
from mcp_gateway_transport_http.http1 import backpressure

from mcp_gateway_testkit import reference_server

from ..support import RawServer, open_server

TOKEN = "the-token-of-this-gateway"
AUTHORIZATION = f"authorization: Bearer {TOKEN}"
OPTIONS = {
    "GATEWAY_HOST": "127.0.0.1",
    "GATEWAY_PORT": "0",
    "GATEWAY_SHUTDOWN_GRACE": "0",
    "GATEWAY_AUTH_TOKEN": TOKEN,
}
INITIALIZE = json.dumps(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "x", "version": "1"},
        },
    }
).encode()
PLAIN = b'{"plain":1}'


class Served:
    """A server at a port, with the fast way of a call or without."""

    def __init__(self, port: int, answering: RawServer) -> None:
        self.port, self.answering = port, answering

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[SocketStream]:
        async with await anyio.connect_tcp("127.0.0.1", self.port) as stream:
            yield stream

    async def serves(self) -> bool:
        """Whether somebody with the token is served now, on a connection of their own."""
        async with self.connect() as stream:
            await stream.send(request(INITIALIZE, AUTHORIZATION))
            return await status(stream) == 200


@pytest.fixture(params=[True, False], ids=["fast-path", "sdk-path"])
def is_direct(request: pytest.FixtureRequest) -> bool:
    return request.param


@asynccontextmanager
async def open_server_with_token(*, is_direct: bool = True, **options: str) -> AsyncIterator[Served]:
    answering = RawServer()
    server = answering.served() if is_direct else reference_server()
    async with open_server(server, {**OPTIONS, **options}, 60) as port:
        yield Served(port, answering)


def head(length: int | None, *more: str, method: str = "POST") -> bytes:
    lines = [
        f"{method} /mcp HTTP/1.1",
        "host: localhost",
        "content-type: application/json",
        "accept: application/json, text/event-stream",
        *([] if length is None else [f"content-length: {length}"]),
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def request(body: bytes, *more: str) -> bytes:
    return head(len(body), *more) + body


async def status(stream: SocketStream) -> int:
    """Read a response whole and return its status, or 0 if the connection was closed instead."""
    data = b""
    with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError), anyio.fail_after(60):
        while not is_whole(data):
            data += await stream.receive()
        return int(data.split(b" ")[1])
    return 0


def is_whole(data: bytes) -> bool:
    """Whether this is all of a response."""
    start, end, body = data.lower().partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in start:
        return body.endswith(b"0\r\n\r\n")
    length = start.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return bool(end) and len(body) >= int(length or 0)


async def closed(stream: SocketStream) -> bool:
    """Read until the connection is closed."""
    with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        while True:
            await stream.receive()
    return True


async def is_open(stream: SocketStream, seconds: float) -> bool:
    """Whether a connection stays, and says nothing, for so long."""
    with anyio.move_on_after(seconds) as waiting:
        await status(stream)
    return waiting.cancelled_caught


async def send_slowly(stream: SocketStream, data: bytes) -> bool:
    """Send the same byte now and then until the connection is closed."""
    with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        while True:
            await stream.send(data)
            with anyio.move_on_after(0.05):
                await stream.receive()
    return True


# -- heads


@pytest.mark.parametrize(
    "piece", [b"a" * 65536, b"x: y\r\n" * 10_000, b"x-" + b"a" * 65000 + b": b\r\n"], ids=["one", "many", "long"]
)
async def test_headers_without_an_end_are_refused_and_take_nothing(is_direct, piece):
    async with open_server_with_token(is_direct=is_direct) as served, served.connect() as stream:
        await stream.send(head(None)[:-2] + b"x: ")
        sent = 0
        with contextlib.suppress(anyio.BrokenResourceError):
            while sent < 300 << 20:
                await stream.send(piece)
                sent += len(piece)
                if sent % (20 * len(piece)) == 0:
                    assert await served.serves()
        # What the kernel takes for the connection, and what is dropped until it is closed.
        assert sent < 30 << 20


@pytest.mark.parametrize(
    "data, code",
    [
        (head(0, "x: " + "a" * 70_000), 431),
        (head(0, *["x: y"] * 128), 431),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n", 414),
        (b"GET /mcp HTTP/2.0\r\nhost: localhost\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (head(2, "transfer-encoding: chunked"), 400),
        (b"\x16\x03\x01\x00\x01", 400),
    ],
    ids=range(7),
)
async def test_who_sends_what_cannot_be_read_hears_why_and_is_closed(is_direct, data, code):
    async with open_server_with_token(is_direct=is_direct) as served, served.connect() as stream:
        await stream.send(data)
        answer = await stream.receive()
        assert answer.startswith(b"HTTP/1.1 %d " % code)
        assert b"connection: close\r\n" in answer
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["message"]
        assert await closed(stream)
        assert await served.serves()


async def test_the_bound_of_a_head_is_a_setting(is_direct):
    async with open_server_with_token(is_direct=is_direct, GATEWAY_MAX_HEADER_BYTES="200000") as served:
        async with served.connect() as stream:
            await stream.send(request(INITIALIZE, AUTHORIZATION, "x: " + "a" * 150_000))
            assert await status(stream) == 200
        async with served.connect() as stream:
            await stream.send(request(INITIALIZE, AUTHORIZATION, "x: " + "a" * 200_000))
            assert b"GATEWAY_MAX_HEADER_BYTES" in await stream.receive()


# -- time


@pytest.mark.parametrize("beginning", [b"", request(INITIALIZE), request(INITIALIZE, AUTHORIZATION)])
async def test_a_connection_without_a_request_is_closed(is_direct, beginning):
    async with open_server_with_token(is_direct=is_direct, GATEWAY_KEEP_ALIVE_TIMEOUT="0.3") as served:
        async with served.connect() as stream:
            await stream.send(beginning)
            assert await closed(stream)
        assert await served.serves()


async def test_a_connection_is_closed_after_answers_of_the_fast_way_too():
    async with open_server_with_token(GATEWAY_KEEP_ALIVE_TIMEOUT="0.3") as served, served.connect() as stream:
        for _ in range(3):
            await stream.send(request(PLAIN, AUTHORIZATION))
            assert await status(stream) == 200
        assert await closed(stream)
        assert served.answering.count == 3


async def test_empty_lines_do_not_keep_a_connection(is_direct):
    async with (
        open_server_with_token(is_direct=is_direct, GATEWAY_KEEP_ALIVE_TIMEOUT="0.3") as served,
        served.connect() as stream,
    ):
        assert await send_slowly(stream, b"\r\n")


async def test_a_head_that_comes_slowly_is_closed(is_direct):
    async with open_server_with_token(is_direct=is_direct, GATEWAY_HEADER_TIMEOUT="0.5") as served:
        async with served.connect() as stream:
            await stream.send(head(None)[:-2] + b"x: ")
            assert await send_slowly(stream, b"a")
        assert await served.serves()


@pytest.mark.parametrize(
    "beginning",
    [
        head(400, AUTHORIZATION) + b'{"plain"',
        head(400) + b"{",
        head(None, AUTHORIZATION, "transfer-encoding: chunked") + b"8\r\n{",
        head(None, AUTHORIZATION, "transfer-encoding: chunked") + b"0\r\nx: ",
        head(400, AUTHORIZATION, "content-encoding: identity") + b"{",
    ],
    ids=["held", "refused", "chunked", "trailer", "asgi"],
)
@pytest.mark.parametrize("is_dripping", [False, True], ids=["stopped", "dripping"])
async def test_a_body_that_does_not_come_or_comes_slowly_is_closed(is_direct, beginning, is_dripping):
    async with open_server_with_token(is_direct=is_direct, GATEWAY_BODY_TIMEOUT="0.5") as served:
        async with served.connect() as stream:
            await stream.send(beginning)
            assert await (send_slowly(stream, b"a") if is_dripping else closed(stream))
        assert await served.serves()


async def test_a_body_may_pause_for_less_than_its_time(is_direct):
    async with (
        open_server_with_token(is_direct=is_direct, GATEWAY_BODY_TIMEOUT="20") as served,
        served.connect() as stream,
    ):
        await stream.send(head(len(INITIALIZE), AUTHORIZATION) + INITIALIZE[:20])
        assert await is_open(stream, 2.5)
        await stream.send(INITIALIZE[20:])
        assert await status(stream) == 200


SHORT = {"GATEWAY_KEEP_ALIVE_TIMEOUT": "0.2", "GATEWAY_HEADER_TIMEOUT": "0.2", "GATEWAY_BODY_TIMEOUT": "0.2"}


async def test_a_call_may_take_longer_than_all_of_these_times():
    async with open_server_with_token(**SHORT) as served, served.connect() as stream:
        served.answering.hold()
        await stream.send(request(PLAIN, AUTHORIZATION))
        assert await is_open(stream, 2.5)
        served.answering.release()
        assert await status(stream) == 200


async def test_a_stream_is_never_closed_as_unused(is_direct):
    async with open_server_with_token(is_direct=is_direct, **SHORT) as served:
        async with served.connect() as stream:
            await stream.send(request(INITIALIZE, AUTHORIZATION))
            answer = (await stream.receive()).decode()
        session = next(line for line in answer.splitlines() if line.startswith("mcp-session-id: "))
        async with served.connect() as stream:
            await stream.send(head(None, AUTHORIZATION, session, method="GET"))
            answer = await stream.receive()
            assert answer.startswith(b"HTTP/1.1 200 ")
            while await stream_says_more(stream):
                pass
            assert await is_open(stream, 3)


async def stream_says_more(stream: SocketStream) -> bool:
    with anyio.move_on_after(0.3):
        return bool(await stream.receive())
    return False


# -- memory


async def test_a_body_without_the_token_is_refused_before_it_comes(is_direct):
    async with open_server_with_token(is_direct=is_direct) as served, served.connect() as stream:
        await stream.send(head(4_000_000))
        assert await status(stream) == 401


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_what_follows_a_refusal_is_dropped_up_to_the_longest_request(is_direct, is_chunked):
    async with open_server_with_token(is_direct=is_direct, GATEWAY_MAX_REQUEST_BYTES="100000") as served:
        async with served.connect() as stream:
            await stream.send(head(None, "transfer-encoding: chunked") if is_chunked else head(1 << 30))
            assert await status(stream) == 401
            sent, piece = 0, b"10000\r\n" + b"a" * 65536 + b"\r\n" if is_chunked else b"a" * 65536
            with contextlib.suppress(anyio.BrokenResourceError):
                while sent < 1 << 30:
                    await stream.send(piece)
                    sent += len(piece)
            assert sent < 30 << 20
        async with served.connect() as stream:
            await stream.send(request(b"a" * 50_000))
            assert await status(stream) == 401
            await stream.send(request(INITIALIZE, AUTHORIZATION))
            assert await status(stream) == 200


async def test_a_trailer_is_no_header(is_direct):
    data = head(None, "transfer-encoding: chunked") + b"%x\r\n%b\r\n0\r\n%b\r\n\r\n"
    async with open_server_with_token(is_direct=is_direct) as served, served.connect() as stream:
        await stream.send(data % (len(INITIALIZE), INITIALIZE, AUTHORIZATION.encode()))
        assert await status(stream) == 401


async def test_who_waits_for_100_and_is_refused_is_closed(is_direct):
    async with open_server_with_token(is_direct=is_direct) as served:
        async with served.connect() as stream:
            await stream.send(head(len(INITIALIZE), "expect: 100-continue"))
            assert await status(stream) == 401
            assert await closed(stream)
        async with served.connect() as stream:
            await stream.send(head(len(INITIALIZE), AUTHORIZATION, "expect: 100-continue"))
            assert await status(stream) == 100
            await stream.send(INITIALIZE)
            assert await status(stream) == 200


async def fill(stream: SocketStream, piece: bytes) -> int:
    """Send until nobody takes any more; return how often."""
    count = 0
    while True:
        with anyio.move_on_after(2) as waiting:
            await stream.send(piece)
            count += 1
        if waiting.cancelled_caught:
            return count
        assert count < 20_000


async def test_requests_whose_answers_nobody_reads_are_not_read_any_more(is_direct):
    async with open_server_with_token(is_direct=is_direct) as served, served.connect() as stream:
        # Without the token: each answer is a refusal.
        assert await fill(stream, request(b'{"jsonrpc":"2.0","id":1,"method":"ping"}') * 200) > 0
        assert await served.serves()


async def test_requests_behind_one_that_takes_long_are_not_read_any_more():
    async with open_server_with_token() as served, served.connect() as stream:
        served.answering.hold()
        await fill(stream, request(PLAIN, AUTHORIZATION) * 200)
        assert served.answering.count == 1
        assert await served.serves()


async def test_requests_that_came_at_once_are_all_answered_in_their_order(is_direct):
    bodies = [b'{"plain":%d}' % number if number % 3 else b"[]" for number in range(600)]
    async with open_server_with_token(is_direct=is_direct) as served, served.connect() as stream:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream.send, b"".join(request(body, AUTHORIZATION) for body in bodies))
            data = b""
            while data.count(b"HTTP/1.1 ") < len(bodies):
                data += await stream.receive()
        assert served.answering.count == (400 if is_direct else 0)
        if is_direct:
            answers = [answer.partition(b"\r\n\r\n")[2] for answer in data.split(b"HTTP/1.1 ")[1:]]
            plain = [(body, answer) for body, answer in zip(bodies, answers, strict=True) if body != b"[]"]
            assert all(body == answer for body, answer in plain)


async def test_answers_are_not_kept_for_who_does_not_read_them(monkeypatch):
    monkeypatch.setattr(backpressure, "OUTPUT_TIMEOUT", 0.5)
    async with open_server_with_token() as served:
        served.answering.answer_bytes = 32 << 20
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", served.port))
            client.sendall(request(PLAIN, AUTHORIZATION))
            async with served.connect() as stream:
                assert await is_open(stream, 4)
            assert served.answering.count == 1
            assert await anyio.to_thread.run_sync(received, client) < 32 << 20


def received(client: socket.socket) -> int:
    """Read to the end; return how much that was."""
    client.settimeout(30)
    total = 0
    with contextlib.suppress(ConnectionError):
        while data := client.recv(1 << 20):
            total += len(data)
    return total


async def test_who_reads_slowly_gets_all(monkeypatch):
    monkeypatch.setattr(backpressure, "OUTPUT_TIMEOUT", 3)
    async with open_server_with_token(GATEWAY_KEEP_ALIVE_TIMEOUT="0.2") as served, served.connect() as stream:
        served.answering.answer_bytes = 24 << 20
        await stream.send(request(PLAIN, AUTHORIZATION, "connection: close"))
        total = 0
        with contextlib.suppress(anyio.EndOfStream):
            while True:
                # A pause after every few megabytes: longer in all than a connection may stay unused.
                with anyio.move_on_after(0.7 if total % (4 << 20) < 65536 else 0):
                    await anyio.sleep_forever()
                total += len(await stream.receive())
        assert total > 24 << 20


# -- connections


async def test_too_many_connections_shut_out_nobody_who_has_the_token(is_direct):
    async with (
        open_server_with_token(is_direct=is_direct, GATEWAY_MAX_CONNECTIONS="5") as served,
        contextlib.AsyncExitStack() as stack,
    ):
        kept = await stack.enter_async_context(served.connect())
        await kept.send(request(INITIALIZE, AUTHORIZATION))
        assert await status(kept) == 200
        idle = [await stack.enter_async_context(served.connect()) for _ in range(20)]
        assert await served.serves()
        assert await closed(idle[0])
        assert await closed(idle[10])
        await kept.send(request(INITIALIZE, AUTHORIZATION))
        assert await status(kept) == 200


async def test_when_all_connections_have_shown_the_token_another_one_hears_so(is_direct):
    async with (
        open_server_with_token(is_direct=is_direct, GATEWAY_MAX_CONNECTIONS="2") as served,
        contextlib.AsyncExitStack() as stack,
    ):
        for _ in range(2):
            stream = await stack.enter_async_context(served.connect())
            await stream.send(request(INITIALIZE, AUTHORIZATION))
            assert await status(stream) == 200
        async with served.connect() as stream:
            answer = await stream.receive()
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"GATEWAY_MAX_CONNECTIONS" in answer


async def test_one_address_has_only_so_many_that_nobody_knows(is_direct):
    options = {"GATEWAY_MAX_CONNECTIONS_PER_ADDRESS": "3"}
    async with open_server_with_token(is_direct=is_direct, **options) as served, contextlib.AsyncExitStack() as stack:
        known = [await stack.enter_async_context(served.connect()) for _ in range(6)]
        for stream in known[3:]:
            await stream.send(request(INITIALIZE, AUTHORIZATION))
            assert await status(stream) == 200
        assert await closed(known[0])
        others = [await stack.enter_async_context(served.connect()) for _ in range(10)]
        assert await closed(others[0])
        for stream in known[3:]:
            await stream.send(request(INITIALIZE, AUTHORIZATION))
            assert await status(stream) == 200


# -- upgrades


@pytest.mark.parametrize("wish", ["h2c", "websocket", "TLS/1.0"])
async def test_the_wish_to_upgrade_is_ignored(is_direct, wish):
    more = (
        AUTHORIZATION,
        f"Upgrade: {wish}",
        "Connection: Upgrade, HTTP2-Settings",
        "HTTP2-Settings: AAMAAABkAAQAoAAA",
    )
    async with open_server_with_token(is_direct=is_direct) as served, served.connect() as stream:
        for _ in range(3):
            await stream.send(request(INITIALIZE, *more))
            assert await status(stream) == 200
        if is_direct:
            for _ in range(3):
                await stream.send(request(PLAIN, *more))
                assert await status(stream) == 200
            assert served.answering.count == 3


async def test_a_known_head_in_the_middle_of_another_one_is_no_request():
    async with open_server_with_token() as served, served.connect() as stream:
        await stream.send(request(PLAIN, AUTHORIZATION))
        assert await status(stream) == 200
        await stream.send(b"POST /mcp HTTP/1.1\r\nx: ")
        assert await is_open(stream, 0.2)
        await stream.send(request(PLAIN, AUTHORIZATION))
        assert await status(stream) == 200
        await stream.send(request(PLAIN, AUTHORIZATION))
        assert await status(stream) == 200
        assert served.answering.count == 3
