"""Heads that come again, and what must not be taken for one."""

import pytest
from mcp_gateway_transport_http.http1.header_cache import cacheable_head

HEAD = b"POST /mcp HTTP/1.1\r\nhost: localhost\r\nContent-Length: %d\r\nx: y\r\n\r\n"


def message(body: bytes) -> bytes:
    return HEAD % len(body) + body


def body(data: bytes) -> bytes | None:
    head = cacheable_head(message(b"{}"), b"{}")
    assert head is not None
    start = head.body_offset(data)
    return data[start:] if start else None


@pytest.mark.parametrize("text", [b"{}", b"", b'{"x":"\r\n\r\n"}', b"x" * 100_000])
def test_a_head_is_known_again_whatever_the_length_of_its_body(text):
    assert body(message(text)) == text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        message(b"{}")[:20],
        message(b"{}")[:-1],
        message(b"{}") + b" ",
        message(b"{}").replace(b"x: y", b"x: z"),
        message(b"{}").replace(b"localhost", b"localhosx"),
        message(b"{}").replace(b": 2", b": +2"),
        message(b"{}").replace(b": 2", b": "),
        message(b"{}").replace(b": 2", b": 0000000002"),
        message(b"{}").replace(b": 2", b": 2 "),
    ],
)
def test_anything_else_is_left_to_the_parser(data):
    assert body(data) is None


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nx-content-length: 2\r\n\r\n\r\ncontent-length: 2\r\n",
    ],
)
def test_a_head_that_does_not_say_once_how_long_its_body_is_cannot_come_again(data):
    assert cacheable_head(data, data[-2:]) is None


@pytest.mark.parametrize("before", [b"{}", b"[]", b""])
def test_a_head_is_not_that_of_another_message_in_the_same_piece(before):
    assert cacheable_head(message(before) + message(b"{}"), b"{}") is None
    assert cacheable_head(message(b"{}"), before) is None or before == b"{}"
