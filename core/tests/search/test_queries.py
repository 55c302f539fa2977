"""Queries of models: what is cut, where, and who asks for all tools."""

from __future__ import annotations

import re

import pytest

from mcp_gateway.search.queries import asks_for_all, cut_pattern, cut_words, fit_query

WORDS = "|".join(f"word{number}" for number in range(80))


@pytest.mark.parametrize(
    "text, limit, kept",
    [
        ("One. Two. Three.", 10, "One. Two."),
        ("One! Two? Three and four", 12, "One! Two?"),
        ('He said "go." Then he went away', 20, 'He said "go."'),
        ("first line\nsecond line", 15, "first line"),
        ("见过。天气好吗\uff1f还有更多的文字", 8, "见过。天气好吗\uff1f"),
        ("no sentence ends here", 15, "no sentence"),
        ("Hi. no sentence ends for long", 18, "Hi. no sentence"),
        ("x" * 30, 10, "x" * 10),
        ("天" * 30, 10, "天" * 10),
        ("v1.2.3 is out", 9, "v1.2.3 is"),
    ],
)
def test_words_are_cut_at_a_sentence_or_else_between_words(text, limit, kept):
    assert cut_words(text, limit) == kept


@pytest.mark.parametrize(
    "pattern",
    [
        f"({WORDS})",
        f"(?:{WORDS})+",
        f"(?i){WORDS}",
        WORDS,
        f"prefix_({WORDS})_suffix",
        "((a|b)|(c|d))+" * 30,
        "x" * 300,
        ".*" * 150,
        r"\d{3}-" * 80,
        r"[a-z\]|]{2,5}_" * 40,
        "[abc" + "d" * 300 + "]",
        "(?:" * 20 + "abc" * 100 + ")" * 20,
        "a{1,200}?b*?" * 30,
        r"\|\(\)\[" * 60,
        r"[]|]x" * 80,
    ],
)
def test_a_pattern_is_cut_where_it_stays_one(pattern):
    assert re.compile(pattern)
    kept = cut_pattern(pattern, 200)
    assert 100 < len(kept) <= 200
    assert re.compile(kept)
    assert pattern.startswith(kept.rstrip(")]"))


def test_a_pattern_is_cut_before_an_alternative():
    assert cut_pattern(f"({WORDS})", 30) == "(word0|word1|word2|word3)"


@pytest.mark.parametrize(
    "text", ["(" * 5000, "\\" * 5001, "[" * 5000, "|" * 5000, "a" * 100_000, "(?P<" * 2000, "{" * 5000]
)
def test_what_is_no_pattern_is_cut_as_well_in_linear_time(text):
    assert len(cut_pattern(text, 200)) <= 200


def test_what_is_cut_is_said_and_what_fits_is_left_alone():
    assert fit_query("x" * 2000, is_pattern=False).hint == ""
    assert fit_query(f"  {'x' * 2000}\n", is_pattern=False).text == "x" * 2000
    cut = fit_query("A sentence. " * 300, is_pattern=False)
    assert cut.text.endswith("A sentence.")
    assert cut.hint.startswith(
        f"the query has 3,599 characters, of which only the first {len(cut.text):,} were searched;"
    )
    assert fit_query("x" * 200, is_pattern=True).hint == ""
    assert "use fewer alternatives" in fit_query("x" * 201, is_pattern=True).hint


ALL = """
*|| |.*|^.*$|list all|all|List all tools.|list tools|list|show me all available tools|what tools are available?
which servers are there|everything|get all the functions|available tools|could you list your tools please
"""
SOME = """
list all issues|all files|find a tool for mail|get|tool|show|create issue|alltools|listing tools of a workshop|(|what
"""


@pytest.mark.parametrize("text", re.split(r"[|\n]", ALL.strip("\n")))
def test_these_ask_for_all_tools(text):
    assert asks_for_all(text)


@pytest.mark.parametrize("text", [*re.split(r"[|\n]", SOME.strip("\n")), "all " * 200])
def test_these_ask_for_some(text):
    assert not asks_for_all(text)
