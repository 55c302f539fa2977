"""Lines are broken between words, and commands and long words not at all."""

from __future__ import annotations

import pytest

from mcp_gateway.text.wrapping import cut_to_width, fill, measure, wrap_line, wrap_text

PATH = "/home/somebody/.config/mcp-orchestration-gateway/server_config.json"


@pytest.mark.parametrize(
    "line, width, expected",
    [
        ("short", 20, ["short"]),
        ("", 20, [""]),
        ("one two three four five", 14, ["one two three", "  four five"]),
        ("  item: one two three", 14, ["  item: one", "    two three"]),
        ("  serves    http:  it is", 22, ["  serves    http:  it", "    is"]),
        (f"in {PATH} it is", 20, ["in", f"  {PATH}", "  it is"]),
        ("say: mcp-gateway search WORDS; or not", 26, ["say:", "  mcp-gateway search WORDS;", "  or not"]),
        ("mcp-gateway: it is not there", 20, ["mcp-gateway: it is", "  not there"]),
        ("日本語 日本語 日本語", 14, ["日本語 日本語", "  日本語"]),
    ],
)
def test_a_line_is_broken_between_words(line, width, expected):
    assert wrap_line(line, width) == expected


def test_somebodys_text_stays_where_it_begins():
    assert wrap_text("  - one two three", 11) == ["  - one two", "  three"]


@pytest.mark.parametrize("width", range(20, 130))
def test_no_word_is_lost_and_no_line_too_long_but_for_a_whole_word(width):
    text = f"no servers are there; start with: mcp-gateway init, or look at {PATH} (it may be empty) again"
    lines = wrap_line(text, width)
    assert " ".join(lines).split() == text.split()
    assert all(measure(line) <= width or fill(line.strip(), 1) == [line.strip()] for line in lines)


@pytest.mark.parametrize(
    "text, width, expected",
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("日本語", 6, "日本語"), ("日本語", 5, "日本…"), ("日本語", 4, "日…")],
)
def test_a_text_is_cut_to_the_width(text, width, expected):
    assert cut_to_width(text, width) == expected


@pytest.mark.parametrize("text, columns", [("abc", 3), ("", 0), ("日本", 4), ("e\u0301", 1), ("→…", 2)])
def test_columns_are_counted_as_a_terminal_does(text, columns):
    assert measure(text) == columns
