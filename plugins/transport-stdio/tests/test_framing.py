"""Lines out of pieces, and what is left of those that are too long."""

from __future__ import annotations

import json
import sys

import pytest
from mcp_gateway_transport_stdio.framing import LineSplitter, OversizedLine, encode_oversize_error


def cut(pieces, limit=1000):
    found = []
    lines = LineSplitter(found.append, found.append, limit)
    for piece in pieces:
        lines.feed(piece)
    lines.flush()
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_lines_are_the_same_in_whichever_pieces_they_come(size):
    text = b"one\n\ntwo\r\nthree" + b"x" * 50 + b"\nlast"
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    found = cut(pieces)
    assert [line for line in found if line] == [b"one", b"two", b"three" + b"x" * 50, b"last"]


@pytest.mark.parametrize("size", [1, 99, 1000, 100_000])
def test_a_line_that_is_too_long_is_dropped_and_the_next_one_is_heard(size):
    text = b"before\n" + b"x" * 5000 + b"end\nafter\n"
    before, long, after = cut([text[at : at + size] for at in range(0, len(text), size)])
    assert (before, after) == (b"before", b"after")
    assert long.size == 5003
    assert long.head == b"x" * 512
    assert long.tail == b"x" * 509 + b"end"


def test_a_line_that_never_ends_takes_no_memory():
    lines = LineSplitter(lambda _: None, lambda _: None, 1000)
    for _ in range(10_000):
        lines.feed(b"x" * 1000)
    assert len(lines._held) + len(lines._tail) <= 1024


def test_it_is_told_of_once_it_is_too_long_and_once_it_seems_to_have_no_end():
    oversized = []
    lines = LineSplitter(lambda _: None, lambda _: None, 1000, oversized.append)
    for _ in range(100):
        lines.feed(b'{"jsonrpc":"2.0","id":7,"result":'.ljust(100))
        assert len(oversized) == (lines._size > 1000) + (lines._size > 8000)
    assert [line.id for line in oversized] == [b"7", b"7"]


def test_a_line_that_comes_byte_by_byte_is_put_together_in_linear_time_and_memory():
    found = []
    lines = LineSplitter(found.append, found.append, 1 << 20)
    for _ in range(1 << 19):
        lines.feed(b"x")
    assert sys.getsizeof(lines._held) < 1 << 20
    lines.feed(b"\n")
    assert found == [b"x" * (1 << 19)]


def test_others_may_have_their_turn_after_each_line():
    found = []
    lines = LineSplitter(found.append, found.append, 1000)
    steps = lines.steps(b"one\ntwo\nthr")
    assert [len(found) for _ in steps] == [1, 2]
    lines.feed(b"ee\n")
    assert found == [b"one", b"two", b"three"]


@pytest.mark.parametrize(
    "head, tail, said, asks",
    [
        (b'{"jsonrpc":"2.0","id":7,"result":{', b'"}]}}', b"7", False),
        (b'{"jsonrpc": "2.0", "id": "a-1", "method": "x"', b"}", b'"a-1"', True),
        (b'{"result":{"content":[', b'"}]},"jsonrpc":"2.0","id":12}', b"12", False),
        (b'{"method":"tools/call","params":{', b'},"jsonrpc":"2.0","id":3}', b"3", True),
        (b'{"method":"tools/call","id":4,"params":{', b"}}", None, True),
        (b"nothing but noise", b"and more", None, False),
        (b'{"result":{"text":"', b'\\",\\"id\\":9}"}}', None, False),
    ],
)
def test_what_is_left_says_which_message_it_was(head, tail, said, asks):
    line = OversizedLine(head, tail, 5000)
    assert (line.id, line.is_request) == (said, asks)


def test_a_client_hears_how_long_its_request_was_and_which_setting_that_is():
    line = OversizedLine(b'{"jsonrpc":"2.0","id":7,"method":"tools/call",', b"}", 5000)
    error = json.loads(encode_oversize_error(line, 1000))
    assert error["id"] == 7
    assert error["error"]["message"] == "the message has 5000 bytes, more than the 1000 of GATEWAY_MAX_REQUEST_BYTES"
