"""Half of a surrogate pair becomes U+FFFD, and line breaks become blanks; all else stays byte for byte the same."""

from __future__ import annotations

import json

import pytest

from mcp_gateway.plugin import replace_lone_surrogates, to_line, unwrap_message


@pytest.mark.parametrize(
    "text",
    ["", "plain", "\U0001f600", "\\ud83d", "\\\\ud83d", 'quote " and \\', "\n\t\u0000", "é\ud7ff\ue000", "\\u\\ud\\uD"],
)
def test_what_is_whole_comes_back_as_the_same_object(text):
    for ascii_only in (True, False):
        message = json.dumps({"text": text, "\U0001f600": 1}, ensure_ascii=ascii_only).encode()
        assert replace_lone_surrogates(message) is message


@pytest.mark.parametrize(
    "text, expected",
    [
        ("\ud83d", "\ufffd"),
        ("a\ud83d\ud83d\ude00b", "a\ufffd\U0001f600b"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("\\\ud83d", "\\\ufffd"),
    ],
)
def test_halves_are_replaced(text, expected):
    assert json.loads(replace_lone_surrogates(json.dumps({text: [text]}).encode())) == {expected: [expected]}
    assert (
        json.loads(replace_lone_surrogates(json.dumps(text).upper().replace("\\U", "\\u").encode())) == expected.upper()
    )


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


@pytest.mark.parametrize("written", [b"%b", b"[%b]", b"\xef\xbb\xbf%b", b" \r\n[ %b ]\n", b"\xef\xbb\xbf[%b]"])
def test_a_message_is_found_behind_a_mark_and_in_an_array_of_one(written):
    message = b'{"id":[1],"text":"caf\xe9 \\ufffd"}'
    cut = message.replace(b"ufffd", b"ud83d")
    assert unwrap_message(written % cut).rstrip() == (message if b"[%b" in written or b"[ %b" in written else cut)


def test_an_array_is_not_read_beyond_what_it_may_have():
    # Its second item decides: the rest, which is no JSON, is not looked at, and nothing is taken out.
    for text in (b"[]", b"[1,2,}", b"[" * 100_000, b"[{},{}]", b"[{},", b"", b"x"):
        assert unwrap_message(text) == text
