"""One parser for all responses of a connection."""

import gc
import weakref

import pytest
from mcp_gateway_transport_http.client.carriers.response_parser import ResponseParser
from mcp_gateway_transport_http.client.responses.limits import MAX_HEADERS, LimitExceeded

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
)
SIZED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nab"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + SIZED
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
MANY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + b"X: y\r\n" * (MAX_HEADERS - 1) + b"\r\nab"


def read(parser, data):
    parser.begin()
    parser.feed(data)
    assert (parser.is_complete, parser.keeps_alive, parser.has_more, parser.broken) == (True, True, False, None)
    return parser.head.status, b"".join(parser.pieces)


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("first", [CHUNKED, SIZED, INTERIM, EMPTY, MANY])
@pytest.mark.parametrize("second", [CHUNKED, SIZED, INTERIM, EMPTY, MANY])
def test_nothing_is_left_of_the_response_before(first, second, size):
    parser, alone = ResponseParser(), ResponseParser()
    read(parser, first)
    parser.begin()
    for at in range(0, len(second), size):
        assert not parser.is_complete
        parser.feed(second[at : at + size])
    assert (parser.head.status, b"".join(parser.pieces)) == read(alone, second)
    assert parser.is_complete


def test_bounds_are_those_of_one_response():
    parser = ResponseParser()
    for _ in range(3):
        assert read(parser, MANY) == (200, b"ab")
    parser.begin()
    parser.feed(MANY.replace(b"X: y\r\n", b"X: y\r\n" * 2, 1))
    assert isinstance(parser.broken, LimitExceeded)


def test_nothing_is_kept_of_a_closed_one():
    parser = ResponseParser()
    read(parser, CHUNKED)
    gone = weakref.ref(parser)
    gc.disable()
    try:
        parser.close()
        del parser
        assert gone() is None
    finally:
        gc.enable()
