"""JSON of people: comments and trailing commas are read, mistakes are shown with their place and never with a value."""

from __future__ import annotations

import re

import pytest

from mcp_gateway.config.syntax.json_text import parse_json
from mcp_gateway.plugin import ConfigError


def mistake(text):
    with pytest.raises(ConfigError) as caught:
        parse_json(text)
    return str(caught.value)


@pytest.mark.parametrize(
    "text, value",
    [
        ('{"a": 1,}', {"a": 1}),
        ('{"a": [1, 2, ], // x, y\n}', {"a": [1, 2]}),
        ('/* {"b": */{"a": "// no, /* comment */"}//', {"a": "// no, /* comment */"}),
        ('{"a": ",}", /* , */ }', {"a": ",}"}),
        ('// "quoted\n{"a": "\\"//"}', {"a": '"//'}),
        ("[1/**/,/***/2]", [1, 2]),
    ],
)
def test_comments_and_trailing_commas_are_read(text, value):
    assert parse_json(text) == (value, [])


@pytest.mark.parametrize(
    "text, place, words",
    [
        ("{\n  “a”: 1}", "line 2, column 3", "this is a typographic quote"),
        ('{"a": „x“}', "line 1, column 7", "this is a typographic quote"),
        ('{"a”: "x"}', "line 1, column 4", "this is a typographic quote"),
        ('{"a": "x”,\n "b": 1}', "line 1, column 9", "this is a typographic quote"),
        ("{\u2018a\u2019: 1}", "line 1, column 2", "this is a typographic quote"),
        ("{'a': 1}", "line 1, column 2", "JSON has no single quotes"),
        ('{"a": 1\n "b": 2}', "line 1, column 8", "a comma is missing here"),
        ('{"a": "x" // so\n  , "b": [1 2]}', "line 2, column 12", "a comma is missing here"),
        ('{"a": {"b": 1}\n\n"c": 2}', "line 1, column 15", "a comma is missing here"),
        ('{"a" 1}', "line 1, column 6", "a colon is missing before this"),
        ('{"a" = 1}', "line 1, column 6", "write a colon here"),
        ("{a: 1}", "line 1, column 2", "a key stands in double quotes"),
        ('{"a": npx}', "line 1, column 7", "text stands in double quotes"),
        ('{"a": True}', "line 1, column 7", "write true for True"),
        ('{"a": NaN}', "line 1, column 7", "write null for NaN"),
        ('{"a": }', "line 1, column 7", "a value is missing before this"),
        ('{"a": 1,, "b": 2}', "line 1, column 9", "a value is missing before this, or the comma is too many"),
        ('{"a": [1}', "line 1, column 9", "a ] is missing before this"),
        ('{"a": 1]', "line 1, column 8", "a } is missing before this"),
        ('{"a": {\n"b": 1}', "line 1, column 1", "the { that stands here is never closed"),
        ('{"a": [\n1,', "line 1, column 7", "the [ that stands here is never closed"),
        ('{"a": 1}}', "line 1, column 9", "the object ends before this"),
        ('{"a": "x}\n', "line 1, column 7", "the text that begins here does not end in this line"),
        ('{"a": "x\ny"}', "line 1, column 7", "the text that begins here does not end in this line"),
        ('{"a": "x\ty"}', "line 1, column 9", "a tab or such stands in a text"),
        ('{"a": "C:\\Users"}', "line 1, column 10", "this is no escape; write a backslash twice"),
        ('{"a": 1} # x', "line 1, column 10", "the object ends before this"),
        ('{ # x\n"a": 1}', "line 1, column 3", "a comment begins with //"),
    ],
)
def test_a_mistake_has_line_column_words_and_a_picture(text, place, words):
    first, line, mark, *hidden = mistake(text).splitlines()
    assert first.startswith(f"{place}: {words}")
    assert first.endswith("(the file is not JSON)")
    number, column = re.findall(r"\d+", place)
    assert line.startswith(f"{number:>5} | ")
    assert mark == f"      | {' ' * (int(column) - 1)}^"
    assert hidden == (["      | (· hides what may be a secret)"] if "·" in line else [])


def test_a_typographic_quote_in_a_text_is_not_blamed():
    assert "a comma is missing here" in mistake('{"a": "say “hi”, then go" "b": 1}')


def test_a_picture_shows_common_words_and_hides_all_else():
    said = mistake('{"env": {"API_KEY": "s3cr3t"  "TOKEN": "Bearer abc.def-ghi"}}')
    assert said.endswith("| (· hides what may be a secret)")
    assert '| v": {"···_···": "······"  "·····": "······ ···.···-···"}}' in said


def test_a_picture_that_hides_nothing_does_not_say_so():
    assert mistake('{"servers": [true true]}').splitlines()[-1].endswith("^")


@pytest.mark.parametrize("after", ['=="', '":', ":x", "=", '" =', "': ", " "])
def test_a_secret_is_hidden_whatever_follows_it(after):
    for before in ('{"env": {"A" ', '{"env": "Bearer ', "env = ", '{"args": ["type-', '{"a" "x", '):
        assert "s3cr3t" not in mistake(f"{before}s3cr3t{after} x, }}")


def test_a_long_line_is_cut_around_the_place():
    said = mistake('{"a": "' + "x" * 5000 + '" "b": "' + "y" * 5000 + '"}')
    words, line, mark, _ = said.splitlines()
    assert max(len(words), len(line)) <= 80
    assert mark.index("^") < 40


@pytest.mark.parametrize(
    "text",
    ["/*" * 200_000, '"' * 200_000, "{" * 100_000, ", " * 200_000, '{"a": ' + " " * 500_000, '{"a":"' + "\\" * 200_000],
    ids=["comments", "quotes", "braces", "commas", "spaces", "backslashes"],
)
def test_nonsense_takes_no_time(text):
    with pytest.raises((ConfigError, RecursionError)):
        parse_json(text)


def test_a_key_that_stands_twice_names_both_lines():
    value, warnings = parse_json('{"a": {"x": 1,\n"y": {"x": 0},\n"x": 2},\n"b": {"x": 1}}')
    assert value["a"]["x"] == 2
    assert warnings == [
        "line 3: the key 'x' stands twice in one object, first in line 1, and this one is used; remove one of the two"
    ]
