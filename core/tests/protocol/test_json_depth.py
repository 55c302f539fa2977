"""The nesting of JSON."""

from __future__ import annotations

import json

import pytest

from mcp_gateway.protocol.json_depth import cut_depth, json_depth


@pytest.mark.parametrize(
    "text, depth",
    [
        ("1", 0),
        ('"[[[["', 0),
        ('"a\\"[[[["', 0),
        ('"\\\\"', 0),
        ("[]", 1),
        ('{"a":[{}],"b":[[[]]]}', 4),
        ('{"[\\"[":{"{{{":"]"}}', 2),
        ("[" * 100_000 + "]" * 100_000, 100_000),
    ],
)
def test_the_depth_is_that_of_the_deepest_part(text, depth):
    assert json_depth(text.encode()) == depth


@pytest.mark.parametrize(
    "text, cut",
    [
        ('{"a":[1,[2,{"[":3}],4]}', '{"a":[1,0,4]}'),
        ('{"a":[1,"[[",2]}', '{"a":[1,"[[",2]}'),
        ('[[[]],[["\\"]"],[{}]],7]', "[[0],[0,0],7]"),
        ("[" * 100_000 + "]" * 100_000, "[[0]]"),
    ],
)
def test_what_is_too_deep_is_cut(text, cut):
    assert cut_depth(text.encode(), 2) == cut.encode()
    json.loads(cut)


def test_broken_text_is_read_once():
    json_depth(b'"' + b'\\"' * 1_000_000)
    assert cut_depth(b'[[["' + b'\\"' * 1_000_000, 2) == b"[[0"
