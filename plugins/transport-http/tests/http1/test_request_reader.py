"""Requests are taken off a connection in one way only, however the bytes come."""

import random
from itertools import pairwise

import pytest
from mcp_gateway_transport_http.http1.request_body import body_of
from mcp_gateway_transport_http.http1.request_error import RequestError
from mcp_gateway_transport_http.http1.request_head import MAX_HEADERS
from mcp_gateway_transport_http.http1.request_reader import RequestReader

START = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n"
MAX_HEAD = 64 << 10


def requests_of(*pieces: bytes, max_head: int = MAX_HEAD) -> list[tuple[bytes, bytes, bytes]]:
    """Read what comes in these pieces; return method, URL and body of each request."""
    reader, found, body, head, data = RequestReader(max_head), [], None, None, b""
    for piece in pieces:
        reader.buffer += piece
        while True:
            if body is None:
                if (head := reader.read_head()) is None:
                    break
                body, data = body_of(head), b""
            before = len(reader.buffer)
            data += body.take(reader.buffer)
            if body.is_complete:
                found.append((head.method, head.url, data))
                body = None
            elif len(reader.buffer) == before or not reader.buffer:
                break
    return found


def refusal(*pieces: bytes) -> int:
    with pytest.raises(RequestError) as caught:
        requests_of(*pieces)
    return int(caught.value.status)


@pytest.mark.parametrize(
    "data",
    [
        START + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        START + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        START + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        START + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        START + b"Content-Length: 3, 3\r\n\r\nabc",
        START + b"Content-Length: +3\r\n\r\nabc",
        START + b"Content-Length: -3\r\n\r\nabc",
        START + b"Content-Length: 0x3\r\n\r\nabc",
        START + b"Content-Length: 3 3\r\n\r\nabc",
        START + b"Content-Length: \r\n\r\n",
        START + b"Content-Length: 99999999999999999999\r\n\r\n",
        START + b"Content-Length : 3\r\n\r\nabc",
        START + b"Content-Length:\r\n 3\r\n\r\nabc",
        START + b"X: a\r\n b\r\n\r\n",
        START + b"X: a\r\n\tContent-Length: 3\r\n\r\n",
        START + b"X: a\nContent-Length: 3\r\n\r\nabc",
        START + b"X: a\rContent-Length: 3\r\n\r\nabc",
        START + b"X: a\0b\r\n\r\n",
        START + b"X: a\x01b\r\n\r\n",
        START + b": b\r\n\r\n",
        START + b"abc\r\n\r\n",
        START + b" X: a\r\n\r\n",
        START + b"Transfer-Encoding: identity\r\n\r\n",
        START + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        START + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        START + b"Upgrade: h2c\r\n  X: y\r\nConnection: Upgrade\r\n\r\n",
        START.replace(b"\r\n", b"\n") + b"\n",
        b"POST /mcp HTTP/1.1\nHost: x\r\n\r\n",
        b"POST  /mcp HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST\t/mcp HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /m cp HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /mcp HTTP/1.1 \r\nHost: x\r\n\r\n",
        b"POST /m\xc3\xbc HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST x:y:z HTTP/1.1\r\nHost: x\r\n\r\n",
        b"post /mcp HTTP/1.1\r\nHost: x\r\n\r\n",
        b"NONSENSE /mcp HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /mcp\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"{}",
    ],
)
def test_what_two_readers_could_understand_differently_is_refused(data):
    assert refusal(data) == 400
    assert refusal(*(data[at : at + 1] for at in range(len(data)))) == 400


@pytest.mark.parametrize(
    "data, status",
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET /mcp HTTP/2.0\r\n", 505),
        (b"GET /mcp HTTP/1.2\r\n", 505),
        (b"GET /mcp HTTP/0.9\r\n", 505),
        (b"CONNECT a:1 HTTP/1.1\r\n", 501),
        (START + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (START + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        (START.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        (b"GET /" + b"a" * (8 << 10) + b" HTTP/1.1\r\n", 414),
        (b"GET /" + b"a" * (9 << 10), 414),
        (START + b"X: y\r\n" * MAX_HEADERS + b"\r\n", 431),
        (START + b"X: " + b"a" * MAX_HEAD, 431),
        (START + b"X: " + b"a" * MAX_HEAD + b"\r\n\r\n", 431),
    ],
    ids=range(13),
)
def test_what_is_too_much_or_not_spoken_here_is_refused_as_soon_as_it_shows(data, status):
    assert refusal(data) == status


def test_what_is_just_within_the_bounds_is_read():
    url = b"/" + b"a" * ((8 << 10) - 1)
    assert requests_of(b"GET " + url + b" HTTP/1.1\r\nHost: x\r\n\r\n") == [(b"GET", url, b"")]
    assert len(requests_of(START + b"X: y\r\n" * (MAX_HEADERS - 1) + b"\r\n")) == 1
    filling = MAX_HEAD - len(START) - len(b"X: \r\n\r\n")
    assert len(requests_of(START + b"X: " + b"a" * filling + b"\r\n\r\n")) == 1


@pytest.mark.parametrize(
    "more",
    [
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAA\r\n",
        b"upgrade:h2c\r\nconnection:upgrade\r\n",
        b"UPGRADE: \t h2c , x \r\nConnection: keep-alive, UPGRADE\r\n",
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n",
        b"Upgrade: a\r\nUpgrade: b\r\nConnection: upgrade\r\n",
        b"Upgrade: h2c\r\n",
        b"Connection: upgrade\r\n",
    ],
)
@pytest.mark.parametrize("before", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["first", "second"])
def test_the_wish_to_upgrade_is_ignored_and_the_body_read(more, before):
    sized = START + more + b"Content-Length: 3\r\n\r\nabc"
    chunked = START + more + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    for data in (before + sized + chunked, before + chunked + sized):
        whole, by_bytes = requests_of(data), requests_of(*(data[at : at + 1] for at in range(len(data))))
        assert whole == by_bytes
        assert whole[-2:] == [(b"POST", b"/mcp", b"abc")] * 2


def test_the_rest_of_a_head_that_wants_an_upgrade_stays():
    reader = RequestReader(MAX_HEAD)
    reader.buffer += START + b"X-Upgrade: 1\r\nUpgrade: h2c\r\nConnection: upgrade, close\r\nY: upgrade: 2\r\n\r\n"
    head = reader.read_head()
    assert head is not None
    assert head.headers == [
        (b"host", b"localhost"),
        (b"x-upgrade", b"1"),
        (b"connection", b"upgrade, close"),
        (b"y", b"upgrade: 2"),
    ]
    assert not head.keep_alive


STREAM = b"".join(
    (
        b"\r\n\r\n",
        START + b"Content-Length: 5\r\n\r\n\r\n\r\n{",
        b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
        START + b"Transfer-Encoding: Chunked\r\n\r\n",
        b"5;a=b\r\n{}\r\n\r\r\nA ; x\r\n0123456789\r\n00\r\nTrailer: x\r\nHost: y\r\n\r\n",
        b"\r\n"
        + START
        + b"Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 300\r\n\r\n"
        + b"GET / HTTP/1.1\r\n\r\n\r\n" * 15,
        b"DELETE /mcp HTTP/1.0\r\nHost: x\r\n\r\n",
    )
)


def test_wherever_the_bytes_are_cut_they_are_the_same_requests():
    expected = [
        (b"POST", b"/mcp", b"\r\n\r\n{"),
        (b"GET", b"/health", b""),
        (b"POST", b"/mcp", b"{}\r\n\r0123456789"),
        (b"POST", b"/mcp", b"GET / HTTP/1.1\r\n\r\n\r\n" * 15),
        (b"DELETE", b"/mcp", b""),
    ]
    assert requests_of(STREAM) == expected
    assert requests_of(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == expected
    for cut in range(len(STREAM)):
        assert requests_of(STREAM[:cut], STREAM[cut:]) == expected
    chance = random.Random(20261127)
    for _ in range(300):
        cuts = sorted(chance.choices(range(len(STREAM)), k=chance.randint(1, 12)))
        edges = [0, *cuts, len(STREAM)]
        assert requests_of(*(STREAM[a:b] for a, b in pairwise(edges))) == expected


CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "body",
    [
        b"x\r\n",
        b"-1\r\n",
        b"+1\r\na\r\n",
        b" 1\r\na\r\n",
        b"0x1\r\na\r\n",
        b"1_0\r\n",
        b"\r\n",
        b"123456789\r\n",
        b"1\na\n0\n\n\r\n",
        b"1\r\nab\r\n",
        b"1\r\na\n0\r\n\r\n",
        b"1;a\nb\r\na\r\n0\r\n\r\n",
        b"1;" + b"a" * 300,
        b"1;" + b"a" * 200 + b"\r\na\r\n" + (b"1;" + b"a" * 200 + b"\r\na\r\n") * 90,
        b"0\r\nX: y\nZ: a\r\n\r\n",
        b"0\r\nX: " + b"a" * (9 << 10),
        b"0\r\n" + b"X: y\r\n" * 2000,
    ],
    ids=range(17),
)
def test_chunks_that_are_none_or_have_too_much_beside_them_are_refused(body):
    assert refusal(CHUNKED + body) == 400
    assert refusal(CHUNKED, *(body[at : at + 1] for at in range(len(body)))) == 400


def test_tiny_chunks_are_taken_in_turns():
    reader = RequestReader(MAX_HEAD)
    reader.buffer += CHUNKED + b"1\r\na\r\n" * 10_000 + b"0\r\n\r\n"
    head = reader.read_head()
    assert head is not None
    body, sizes = body_of(head), []
    while not body.is_complete:
        sizes.append(len(body.take(reader.buffer)))
    assert sum(sizes) == 10_000
    assert max(sizes) <= 2000


def test_a_head_is_searched_once_however_small_its_pieces_are():
    class Counting(bytearray):
        searched = 0

        def find(self, what, start=0, *more):
            found = super().find(what, start, *more)
            Counting.searched += (found if found >= 0 else len(self)) - start
            return found

    reader = RequestReader(MAX_HEAD)
    reader.buffer = Counting()
    data = START + b"X: " + b"a" * 50_000
    for at in range(len(data)):
        reader.buffer += data[at : at + 1]
        assert reader.read_head() is None
    assert Counting.searched < 10 * len(data)
