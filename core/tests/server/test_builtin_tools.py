"""The gateway's own tools, as clients see them: all that a model knows before its first search."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from mcp_gateway.server.builtin_tools import (
    CallArguments,
    DiscoverArguments,
    SearchArguments,
    builtin_tools,
)
from mcp_gateway.server.server_info import instructions

from ..support.gateway import spec


def tools_by_name(*specs):
    return {tool["name"]: tool for tool in builtin_tools(specs)}


def test_there_are_three_of_them():
    assert list(tools_by_name()) == ["tool_search", "discover_tools", "call_remote_tool"]


@pytest.mark.parametrize("tool", builtin_tools([]), ids=lambda tool: tool["name"])
def test_its_schemas_are_right_and_take_no_unknown_arguments(tool):
    Draft202012Validator.check_schema(tool["inputSchema"])
    Draft202012Validator.check_schema(tool.get("outputSchema", {}))
    assert tool["inputSchema"]["additionalProperties"] is False
    assert all(item["description"] for item in tool["inputSchema"]["properties"].values())
    assert "title" not in str(tool["inputSchema"])


@pytest.mark.parametrize(
    "name, required, optional",
    [
        (
            "tool_search",
            ["query"],
            {"max_results": 3, "use_regex": False, "ranker": None, "server": None, "explain": False},
        ),
        ("discover_tools", ["server_name"], {}),
        ("call_remote_tool", ["tool_name"], {"arguments": None, "auth_header": None}),
    ],
)
def test_its_arguments_have_the_names_and_defaults_that_models_know(name, required, optional):
    schema = tools_by_name()[name]["inputSchema"]
    assert schema["required"] == required
    assert {key: item["default"] for key, item in schema["properties"].items() if key not in required} == optional


def test_searching_and_listing_change_nothing_and_calling_may():
    hints = {name: tool["annotations"] for name, tool in tools_by_name().items()}
    assert hints["tool_search"]["readOnlyHint"]
    assert hints["discover_tools"]["readOnlyHint"]
    assert not hints["call_remote_tool"]["readOnlyHint"]
    assert hints["call_remote_tool"]["destructiveHint"]


def test_arguments_that_a_model_wrote_as_text_are_taken_as_the_object_they_are():
    assert CallArguments.model_validate({"tool_name": "a__b", "arguments": '{"x": 1}'}).arguments == {"x": 1}
    assert CallArguments.model_validate({"tool_name": "a__b"}).arguments is None


@pytest.mark.parametrize(
    "model, arguments",
    [
        (SearchArguments, {}),
        (SearchArguments, {"query": "x", "limit": 3}),
        (SearchArguments, {"query": 3}),
        (DiscoverArguments, {"server": "a"}),
        (CallArguments, {"tool_name": "a__b", "arguments": "not json"}),
        (CallArguments, {"tool_name": "a__b", "arguments": "[1]"}),
        (CallArguments, {"tool_name": "a__b", "arguments": "[" * 100_000}),
    ],
)
def test_wrong_arguments_are_refused(model, arguments):
    with pytest.raises(ValueError, match="validation error"):
        model.model_validate(arguments)


def test_the_search_tool_says_which_servers_are_inside():
    about = tools_by_name(spec("git", description="git repositories"), spec("time"))["tool_search"]["description"]
    assert "Servers inside: git (git repositories), time." in about
    assert "No servers are configured yet." in tools_by_name()["tool_search"]["description"]


def test_a_long_list_of_servers_is_cut_and_the_rest_is_counted():
    many = [spec(f"server-{number}", description="d" * 100) for number in range(100)]
    about = tools_by_name(*many)["tool_search"]["description"]
    assert "server-0 (" in about
    assert len(about) < 2500
    shown = about.count("server-")
    assert f"and {100 - shown} more." in about


def test_instructions_list_the_servers_with_what_they_are_for():
    said = instructions(
        [spec("git", description="mine"), spec("time"), spec("x")], {"git": "its own", "time": "clocks"}
    )
    assert said.splitlines()[-3:] == ["- git: mine", "- time: clocks", "- x"]
    assert "tool_search" in said
    assert "call_remote_tool" in said


def test_instructions_of_a_gateway_without_servers_say_where_they_are_listed():
    assert "server_config.json" in instructions([], {})


def test_a_long_description_is_cut_to_a_line_and_a_long_list_is_counted():
    said = instructions([spec(f"s{number}") for number in range(1000)], {f"s{n}": "x" * 999 for n in range(1000)})
    assert max(map(len, said.splitlines())) < 220
    assert len(said) < 8000
    assert said.splitlines()[-1].startswith("and ")


def test_instructions_say_why_there_are_fewer_servers_than_expected_and_no_more_than_that():
    lines = instructions([spec("time")], {}, ("x.json is not read", "y" * 5000)).splitlines()
    assert lines[2:4] == ["- time", "Note for the user: x.json is not read."]
    assert len(lines[4]) < 650
    assert len(instructions([], {}, ["z" * 500] * 100)) < 4000
