"""Lines of a stream, in whatever pieces they come."""

from __future__ import annotations

import pytest
from mcp_gateway_cli.shared.lines import LineReader


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lines_are_whole_in_whatever_pieces_they_come(size):
    content, reader = b"a\n\nbb\r\nccc\nlast", LineReader()
    pieces = [content[begin : begin + size] for begin in range(0, len(content), size)]
    found = [line for piece in pieces for line in reader.feed(piece)]
    assert found == [(b"a\n", True), (b"\n", True), (b"bb\r\n", True), (b"ccc\n", True)]
    assert reader.flush() == b"last"
    assert reader.flush() == b""


def test_a_line_that_is_too_long_is_passed_on_in_pieces_and_not_kept():
    reader, long = LineReader(10), b"x" * 11
    assert list(reader.feed(b"short\n" + long)) == [(b"short\n", True), (long, False)]
    assert list(reader.feed(b"more")) == [(b"more", False)]
    assert list(reader.feed(b"end\nshort\n")) == [(b"end\n", False), (b"short\n", True)]
    assert reader.flush() == b""
