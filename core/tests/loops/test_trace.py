"""Traces: as requests and as searches, and the tools that take them."""

from __future__ import annotations

import json

import pytest

from mcp_gateway.loops.chain import Chain
from mcp_gateway.loops.trace import (
    MAX_STEPS,
    SEARCH_PARAMETERS,
    TRACE_METHOD,
    Trace,
    find_search_tools,
    read_loop,
)
from mcp_gateway.server.builtin_results import trace_answer
from mcp_gateway.server.builtin_tools import SearchArguments, builtin_tools

HOPS = ["0" * 16 + "." + "f" * 16, "1" * 16 + "." + "e" * 16]
TRACE = Trace(Chain.parse(",".join(HOPS)), "ab" * 16, 3)
OURS = builtin_tools([])


def test_a_trace_is_the_same_after_each_way_of_sending_it():
    method, params = TRACE.to_request("")
    assert (method, Trace.from_params(params)) == (TRACE_METHOD, TRACE)
    method, params = TRACE.to_request("b_tool_search")
    assert (method, params["name"]) == ("tools/call", "b_tool_search")
    assert Trace.from_query(params["arguments"]["query"]) == TRACE


@pytest.mark.parametrize(
    "query",
    [
        "find loops",
        TRACE_METHOD,
        f"{TRACE_METHOD} {HOPS[0]} ab",
        f"{TRACE_METHOD} {HOPS[0]} AB 1",
        f"{TRACE_METHOD} {HOPS[0]} ab {MAX_STEPS + 1}",
        f"{TRACE_METHOD} {HOPS[0]} ab 1 and more",
        f"{TRACE_METHOD} 0.f ab 1",
        f"{TRACE_METHOD} {','.join(HOPS[:1] * 40)} ab 1",
        None,
        5,
    ],
)
def test_a_query_that_is_no_trace_is_a_search(query):
    assert Trace.from_query(query) is None


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"chain": "x", "trace": "ab", "steps": 1},
        {"chain": HOPS[0], "trace": "a" * 65, "steps": 1},
        {"chain": HOPS[0], "trace": "ab", "steps": -1},
        {"chain": HOPS[0], "trace": "ab", "steps": "1"},
        {"chain": HOPS[0], "trace": ["ab"], "steps": 1},
    ],
)
def test_parameters_that_are_no_trace_are_none(params):
    assert Trace.from_params(params) is None


def test_the_gateways_own_search_is_known_by_its_parameters_behind_any_prefix():
    assert SearchArguments.model_fields.keys() == SEARCH_PARAMETERS
    assert find_search_tools(OURS) == ("tool_search",)
    renamed = [{**tool, "name": f"next_{tool['name']}", "_meta": {}, "description": ""} for tool in OURS]
    assert find_search_tools([*renamed, *OURS]) == ("tool_search", "next_tool_search")


@pytest.mark.parametrize(
    "tool",
    [
        {"name": "tool_search"},
        {"name": "tool_search", "inputSchema": None},
        {"name": "tool_search", "inputSchema": {"properties": ["query"]}},
        {"name": "tool_search", "inputSchema": {"properties": {"query": {}, "max_results": {}, "use_regex": {}}}},
        {**OURS[0], "name": "search"},
        OURS[1],
        OURS[2],
    ],
)
def test_a_tool_of_another_make_gets_no_trace(tool):
    assert find_search_tools([tool]) == ()


def test_a_loop_is_read_from_every_form_of_answer():
    answer = trace_answer({"loop": HOPS})
    text = {"content": [{"type": "text", "text": json.dumps({"success": True, "loop": HOPS})}]}
    assert [read_loop(found) for found in ({"loop": HOPS}, answer, text)] == [HOPS] * 3


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"loop": "x"},
        {"loop": ["x", 5, None]},
        {"content": []},
        {"content": ["x"]},
        {"content": [{"type": "image"}]},
        {"content": [{"text": "{"}]},
        {"content": [{"text": "[" * 100_000}]},
        {"content": [{"text": "[1]"}]},
        {"structuredContent": {"success": True, "tools": []}},
    ],
)
def test_any_other_answer_tells_of_no_loop(answer):
    assert read_loop(answer) == []
