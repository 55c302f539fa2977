"""Results as a person sees them, and as a pipe gets them."""

from __future__ import annotations

import base64
import json

import pytest
from mcp_gateway_cli.calls.content import show_result
from mcp_gateway_cli.calls.records import find_records

ROWS = [{"name": "a", "size": 1}, {"name": "b", "size": None, "tags": ["x"]}]


def text(value):
    return {"type": "text", "text": value if isinstance(value, str) else json.dumps(value)}


@pytest.fixture
def show(capsys, monkeypatch):
    """Show a result, at a terminal or not; return standard output and error."""

    def show_it(result, *, terminal=False):
        monkeypatch.setattr("mcp_gateway_cli.calls.content.is_terminal", lambda: terminal)
        show_result(result)
        return capsys.readouterr()

    return show_it


def test_piped_a_text_is_as_the_tool_wrote_it(show):
    written = '[{"name":"a"}]'
    assert show({"content": [text(written)], "structuredContent": {"result": ROWS}}).out == f"{written}\n"


def test_at_a_terminal_objects_are_a_table(show):
    # Standard output is no terminal here, so the table has no head.
    for result in ({"content": [text(ROWS)]}, {"content": [text(ROWS)], "structuredContent": {"result": ROWS}}):
        lines = show(result, terminal=True).out.splitlines()
        assert [line.split() for line in lines] == [["a", "1"], ["b", '["x"]']]


def test_what_stands_beside_a_table_and_a_remark_are_kept(show):
    result = {"content": [text("two are there"), text("{}")], "structuredContent": {"items": ROWS, "total": 2}}
    lines = show(result, terminal=True).out.splitlines()
    assert (lines[0], lines[-1], len(lines)) == ("two are there", "total: 2", 4)


@pytest.mark.parametrize(
    "value", [{}, [], [1], [{}], {"a": ROWS, "b": ROWS}, {"a": {}}, [dict.fromkeys("abcdefghi")], "x", None]
)
def test_what_is_no_table_is_none(value):
    assert find_records(value) is None


def test_other_json_is_indented_at_a_terminal_only(show):
    result = {"content": [text({"a": {"b": 1}})]}
    assert show(result, terminal=True).out == '{\n  "a": {\n    "b": 1\n  }\n}\n'
    assert show(result).out == '{"a": {"b": 1}}\n'
    assert show({"structuredContent": {"a": 1}}).out == '{\n  "a": 1\n}\n'


def test_what_is_no_text_is_named(show):
    data = base64.b64encode(b"12345").decode()
    blocks = [
        {"type": "image", "data": data, "mimeType": "image/png"},
        {"type": "image", "data": "%", "mimeType": "image/\x1b[2J"},
        {"type": "resource", "resource": {"uri": "file:///a.txt", "text": "hello"}},
        {"type": "resource_link", "uri": "file:///b", "name": "b", "description": "the second"},
        {"type": "odd", "x": 1},
    ]
    assert show({"content": blocks}).out.splitlines() == [
        "[image image/png, 5 bytes: --output FILE or FOLDER saves it]",
        "[image image/\\x1b[2J: its data is not base64]",
        "file:///a.txt:",
        "hello",
        "file:///b  b, the second",
        '{"type": "odd", "x": 1}',
    ]


def test_an_error_goes_to_standard_error(show):
    shown = show({"isError": True, "content": [text("no\x1b[2J")]})
    assert (shown.out, shown.err) == ("", "no\\x1b[2J\n")
    assert (
        show({"isError": True, "content": []}).err == "mcp-orchestration-gateway: the tool failed and did not say why\n"
    )


@pytest.mark.parametrize("result", [{}, {"content": None}, {"content": [1, None]}, {"content": "x"}])
def test_a_result_of_nothing_is_nothing(show, result):
    assert show(result).out == ""
    assert "nothing" in show(result, terminal=True).err
