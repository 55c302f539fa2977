"""Rows are columns where these fit, and blocks elsewhere."""

from __future__ import annotations

import pytest
from mcp_gateway_cli.output.layout import lay_out
from mcp_gateway_cli.output.tables import align
from rich.console import Console

PATH = "/opt/tools/bin/a-server-with-a-long-name"
HEAD = ("server", "state", "why")
ROWS = [("alpha", "ready", ""), ("b", "down", f"its command {PATH} is not found; to look for it: mcp-gateway doctor")]


def render(*table, **options):
    """Return the lines of a table without its spaces at their ends."""
    head, rows, width = table
    console = Console(width=width + 2, height=24, force_terminal=False)
    with console.capture() as captured:
        console.print(lay_out(head, rows, width, **options), no_wrap=True, overflow="ignore", crop=False)
    return [line.rstrip() for line in captured.get().removesuffix("\n").split("\n")]


def test_what_fits_is_columns():
    assert render(HEAD, ROWS, 120) == [
        "server  state  why",
        "alpha   ready",
        f"b       down   its command {PATH} is not found; to look for it: mcp-gateway doctor",
    ]


def test_the_widest_column_gives_way_between_words():
    assert render(HEAD, ROWS, 60) == [
        "server  state  why",
        "alpha   ready",
        "b       down   its command",
        f"               {PATH} is",
        "               not found; to look for it: mcp-gateway doctor",
    ]


def test_each_row_is_a_block_where_a_word_would_be_broken():
    assert render(HEAD, ROWS, 40) == [
        "server  alpha",
        "state   ready",
        "",
        "server  b",
        "state   down",
        "why     its command",
        f"        {PATH}",
        "        is not found; to look for it:",
        "        mcp-gateway doctor",
    ]


def test_prose_is_no_tall_column():
    assert render(("name", "what"), [("a" * 30, "many words " * 30)], 60)[0] == f"name  {'a' * 30}"


def test_a_cell_to_be_copied_is_one_line_whatever_the_width():
    command = "python3 /opt/servers/notes.py --folder /home/me --all"
    assert render(("server", "", "reached by"), [("notes", "off", command)], 40, whole=("reached by",)) == [
        "server      notes off",
        f"reached by  {command}",
    ]


def test_a_mark_without_a_name_stands_beside_its_neighbour():
    rows = [("*", "ranker", "bm25 " * 9), ("", "storage", "x")]
    assert render(("", "kind", "about"), rows, 20) == [
        "kind   * ranker",
        *["about  bm25 bm25", *["       bm25 bm25"] * 3, "       bm25"],
        "",
        "kind   storage",
        "about  x",
    ]


@pytest.mark.parametrize("width", range(20, 140))
def test_no_width_breaks_a_word_or_loses_one(width):
    lines = render(HEAD, ROWS, width)
    words = [word for row in ROWS for cell in row for word in cell.split()]
    found = [word for line in lines for word in line.split()]
    assert sorted(word for word in found if word not in HEAD) == sorted(words)
    if lines[0].split() == list(HEAD):
        assert max(map(len, lines)) <= width


def test_columns_are_aligned_by_what_a_terminal_shows():
    assert align([("日本", "x"), ("abc", "y")]) == ["日本  x", "abc   y"]
