"""Mistakes in JSON: where they are, and how they are mended."""

from __future__ import annotations

import json
import re

JSON_STRING = r'"(?:[^"\\\n]|\\.)*"'
JSON_TOKEN = re.compile(rf"{JSON_STRING}|[^\s{{}}\[\]:,\"]+|[{{}}\[\]:,\"]")

_TYPOGRAPHIC = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b\u00ab\u00bb\u2033\u2032\uff02"
_SWALLOWED = re.compile(rf'[{_TYPOGRAPHIC}](?=\s*[:,\]}}][\s:,\[\]{{}}]*"?\s*$)')
"""A typographic quote at the place of a closing one: the text goes on until the next plain quote."""

_BY_MESSAGE = (
    ("Invalid \\", "this is no escape; write a backslash twice"),
    ("Unterminated string", 'the text that begins here does not end in this line; close it with "'),
    ("Invalid control character", "a tab or such stands in a text; write \\t"),
    ("Extra data", "the object ends before this; is there a bracket too many, or are these two files in one?"),
)
"""Words for beginnings of the parser's messages."""

_BY_CHARACTER = {
    "'": 'JSON has no single quotes; write double ones, "',
    "#": "a comment begins with //",
    ";": "write a comma here",
    "=": "write a colon here",
}
_FOR_COMMA = {
    "}": "a ] is missing before this",
    "]": "a } is missing before this",
    ":": "a comma or a { is missing before this",
}
_FOR_VALUE = {
    ",": "a value is missing before this, or the comma is too many",
    "}": "a value is missing before this",
    "]": "a value is missing before this",
    ":": "a key is missing before this",
}
_LITERALS = {"True": "true", "False": "false", "None": "null", "undefined": "null", "nil": "null", "NaN": "null"}


def explain_mistake(text: str, plain: str, error: json.JSONDecodeError) -> tuple[int, str]:
    """Return the place of a mistake, and how to mend it.

    `plain` is the text without comments.
    """
    error = _find_beginning(plain, error)
    if (quote := _find_typographic_quote(text, plain, error)) is not None:
        return quote, 'this is a typographic quote; write a plain one, "'
    words = next((words for message, words in _BY_MESSAGE if error.msg.startswith(message)), None)
    if words is not None:
        return error.pos, words
    return _explain_character(plain, error) if plain[error.pos :].strip() else _explain_end(plain)


def _find_beginning(plain: str, error: json.JSONDecodeError) -> json.JSONDecodeError:
    """Move an error from a line's end to its text's beginning."""
    if not error.msg.startswith("Invalid control character") or plain[error.pos] not in "\r\n":
        return error
    line = plain.rfind("\n", 0, error.pos) + 1
    quotes = (token.start() for token in JSON_TOKEN.finditer(plain, line, error.pos) if token[0] == '"')
    return json.JSONDecodeError("Unterminated string", plain, next(quotes, error.pos))


def _explain_character(plain: str, error: json.JSONDecodeError) -> tuple[int, str]:
    at, character = error.pos, plain[error.pos]
    if character in _BY_CHARACTER:
        return at, _BY_CHARACTER[character]
    if error.msg.startswith("Expecting ','"):
        # The comma is missing behind what stands before, perhaps in another line.
        missing = len(plain[:at].rstrip()), "a comma is missing here"
        return (at, _FOR_COMMA[character]) if character in _FOR_COMMA else missing
    if error.msg.startswith("Expecting ':'"):
        return at, "a colon is missing before this"
    return at, _explain_value(plain, error)


def _explain_value(plain: str, error: json.JSONDecodeError) -> str:
    found = re.match(r"[\w.+-]*", plain[error.pos : error.pos + 20])
    name = found[0] if found else ""
    if name in _LITERALS:
        return f"write {_LITERALS[name]} for {name}"
    if plain[error.pos] in _FOR_VALUE:
        return _FOR_VALUE[plain[error.pos]]
    if error.msg.startswith("Expecting property name"):
        return 'a key stands in double quotes: "key"'
    return 'text stands in double quotes: "text"'


def _explain_end(plain: str) -> tuple[int, str]:
    opened: list[int] = []
    for token in JSON_TOKEN.finditer(plain):
        if token[0] in "{[":
            opened.append(token.start())
        elif token[0] in "}]" and opened:
            opened.pop()
    if not opened:
        return max(len(plain.rstrip()) - 1, 0), "the file ends too early"
    bracket = plain[opened[-1]]
    closing = "}" if bracket == "{" else "]"
    return opened[-1], f"the {bracket} that stands here is never closed: the file ends without its {closing}"


def _find_typographic_quote(text: str, plain: str, error: json.JSONDecodeError) -> int | None:
    """Return the place of a typographic quote that causes the error.

    It stands at the place of the error, or the text before that goes on because of it.
    """
    at = error.pos
    if at < len(text) and text[at] in _TYPOGRAPHIC:
        return at
    if error.msg.startswith("Unterminated string"):
        first, end = at, text.find("\n", at)
        end = len(text) if end < 0 else end
    else:
        end = len(plain[:at].rstrip())
        line = plain.rfind("\n", 0, end) + 1
        first = next((token.start() for token in JSON_TOKEN.finditer(plain, line, end) if token.end() == end), end)
    found = _SWALLOWED.search(text[first:end])
    return first + found.start() if found else None
