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

MISSING = "missing"


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
            {"max_results": 3, "use_regex": False, "ranker": MISSING, "server": MISSING, "explain": False},
        ),
        ("discover_tools", ["server_name"], {}),
        ("call_remote_tool", ["tool_name"], {"arguments": MISSING, "auth_header": MISSING}),
    ],
)
def test_its_arguments_have_the_names_and_defaults_that_models_know(name, required, optional):
    schema = tools_by_name()[name]["inputSchema"]
    assert schema["required"] == required
    properties = schema["properties"].items()
    assert {key: item.get("default", MISSING) for key, item in properties if key not in required} == optional


def subschemas(schema):
    """Yield all schemas in one of the built-in tools' own."""
    yield schema
    for inner in (*schema.get("properties", {}).values(), *filter(None, [schema.get("items")])):
        yield from subschemas(inner)


@pytest.mark.parametrize("key", ["inputSchema", "outputSchema"])
def test_its_schemas_are_plain_with_one_type_each_and_no_null(key):
    for tool in builtin_tools([]):
        for schema in subschemas(tool.get(key, {"type": "object"})):
            assert schema["type"] in {"object", "array", "string", "integer", "number", "boolean"}
            assert not {"anyOf", "oneOf", "allOf", "not", "$ref", "nullable"} & schema.keys()
            assert None not in schema.values()


def test_clients_that_load_tools_late_load_these_at_once():
    assert [tool["_meta"] for tool in builtin_tools([])] == [{"anthropic/alwaysLoad": True}] * 3


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


def servers(count, name="server-{}", about=""):
    return [spec(name.format(number), description=about) for number in range(count)]


@pytest.mark.parametrize(
    "specs",
    [
        servers(0),
        servers(1, about="x" * 5000),
        servers(20, about="d" * 100),
        servers(70, about="d" * 1000),
        servers(1000),
        servers(100_000, "s{}"),
        servers(3, "{}" + "n" * 2000, "d"),
        servers(30, about="\U0001f680" * 100),
        servers(30, about="天气" * 100),
        [*servers(1, "{}" + "n" * 5000), *servers(5, about="short")],
    ],
    ids=[
        "none",
        "endless",
        "described",
        "many",
        "thousand",
        "crowd",
        "long-names",
        "emoji",
        "chinese",
        "one-long-name",
    ],
)
def test_descriptions_and_instructions_have_bounds_for_any_servers(specs):
    for tool in builtin_tools(specs):
        assert len(tool["description"].encode("utf-16-le")) // 2 <= 1024
    said = instructions(specs, {one.name: "a" * 999 for one in specs}, ["n" * 900] * 10)
    assert len(said.encode("utf-16-le")) // 2 <= 2000
    assert "call_remote_tool" in tools_by_name(*specs)["tool_search"]["description"]


@pytest.mark.parametrize("count, described", [(1, 1), (10, 10), (20, 13), (40, 6), (50, 0)])
def test_names_come_first_and_then_the_descriptions_that_fit(count, described):
    about = tools_by_name(*servers(count, about="d" * 100))["tool_search"]["description"]
    said = instructions(servers(count, about="d" * 500), {})
    for number in range(count):
        assert f"server-{number}" in about
        assert f"- server-{number}" in said.splitlines() or f"- server-{number}: d" in said
    assert about.count(" (d") >= described
    assert " more" not in about


def test_names_that_do_not_fit_are_counted():
    many = servers(200, about="d" * 100)
    about = tools_by_name(*many)["tool_search"]["description"]
    assert "server-0, server-1, " in about
    assert f"and {200 - about.count('server-')} more." in about
    long = [*servers(1, "{}" + "n" * 2000), *servers(2)]
    assert "Servers inside: server-0, server-1, and 1 more." in tools_by_name(*long)["tool_search"]["description"]
    lines = instructions(servers(500), {}).splitlines()
    assert lines[-1] == f"and {500 - sum(line.startswith('- ') for line in lines)} more"


def test_instructions_list_the_servers_with_what_they_are_for():
    said = instructions(
        [spec("git", description="mine"), spec("time"), spec("x")], {"git": "its own", "time": "clocks"}
    )
    assert said.splitlines()[-3:] == ["- git: mine", "- time: clocks", "- x"]
    assert "tool_search" in said
    assert "call_remote_tool" in said


def test_instructions_of_a_gateway_without_servers_say_where_they_are_listed():
    assert "server_config.json" in instructions([], {})


def test_a_long_description_is_cut_to_a_line():
    said = instructions([spec("a"), spec("b")], {"a": "x" * 999, "b": "y"})
    assert max(map(len, said.splitlines())) < 220
    assert said.splitlines()[-1] == "- b: y"


def test_instructions_say_why_there_are_fewer_servers_than_expected_and_no_more_than_that():
    lines = instructions([spec("time")], {}, ("x.json is not read", "y" * 5000)).splitlines()
    assert lines[2:4] == ["- time", "Note for the user: x.json is not read."]
    assert len(lines[4]) < 650
    assert len(instructions([], {}, ["z" * 500] * 100)) < 4000
