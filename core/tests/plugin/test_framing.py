"""Messages as lines."""

from __future__ import annotations

import json

import pytest

from mcp_gateway.plugin import to_line


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_json_over_several_lines_is_the_same_json_in_one(end):
    value = {"text": "one\ntwo\r\u2028\u2029\x85", "list": [1, {"a": None}]}
    message = (end + json.dumps(value, indent=2, ensure_ascii=False).replace("\n", end) + end).encode()
    line = to_line(message)
    assert b"\n" not in line
    assert b"\r" not in line
    assert json.loads(line) == value
    assert len(line) == len(message)


def test_what_is_one_line_already_is_not_copied():
    message = b'{"text":"one\\ntwo"}'
    assert to_line(message) is message
