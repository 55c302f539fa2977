"""What a model sees of searching and discovering, through a real connection in both eras."""

from __future__ import annotations

import json

import anyio
import pytest
from jsonschema import Draft202012Validator
from mcp import Client
from mcp.client._memory import InMemoryTransport

from mcp_gateway.plugin import Hit, Hits, Match
from mcp_gateway.server.builtin_tools import NEXT, builtin_tools

from ..support.fake_plugins import WordRanker
from ..support.fake_servers import Remote, text, tool
from ..support.gateway import ask, client, server_of

SCHEMA = {"type": "object", "properties": {"repo": {"type": "string"}}, "required": ["repo"]}

eras = pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])


def git():
    return Remote(_issue(), tool("close_issue", "Close an issue"))


def _issue():
    return {"name": "create_issue", "description": "Create an issue", "inputSchema": SCHEMA}


def output_schema(name):
    return next(own["outputSchema"] for own in builtin_tools([]) if own["name"] == name)


@eras
async def test_a_search_answers_with_references_and_definitions(gateway, modern):
    async with gateway({"git": git()}) as opened, client(opened, modern=modern) as connection:
        result = await ask(connection, "tool_search", {"query": "create issue"})
    answer = result["structuredContent"]
    assert answer == {
        "success": True,
        "next": NEXT,
        "tool_references": [
            {"type": "tool_reference", "tool_name": "git__create_issue"},
            {"type": "tool_reference", "tool_name": "git__close_issue"},
        ],
        "tools": [
            {
                "type": "tool_reference",
                "tool_name": "git__create_issue",
                "description": "Create an issue",
                "input_schema": SCHEMA,
            },
            {
                "type": "tool_reference",
                "tool_name": "git__close_issue",
                "description": "Close an issue",
                "input_schema": {"type": "object", "properties": {}},
            },
        ],
        "total_matches": 2,
        "query": "create issue",
        "search_type": "bm25",
        "hints": [],
        "servers": [],
    }
    assert json.loads(result["content"][0]["text"]) == answer
    assert "isError" not in result
    Draft202012Validator(output_schema("tool_search")).validate(answer)


@pytest.mark.parametrize("mode", ["legacy", "auto", "2026-07-28"], ids=["handshake", "negotiated", "modern"])
async def test_the_sdks_own_client_can_search_and_call(gateway, mode):
    alpha = Remote(tool("echo", "Say it back"))
    alpha.answers["echo"] = text("hello")
    async with (
        gateway({"alpha": alpha}) as opened,
        Client(InMemoryTransport(server_of(opened)), mode=mode) as connection,
    ):
        listed = await connection.list_tools()
        assert [item.name for item in listed.tools] == ["tool_search", "discover_tools", "call_remote_tool"]
        found = await connection.call_tool("tool_search", {"query": "echo"})
        assert found.structured_content["tools"][0]["tool_name"] == "alpha__echo"
        called = await connection.call_tool("call_remote_tool", {"tool_name": "alpha__echo", "arguments": {}})
        assert called.content[0].text == "hello"
        assert (await connection.call_tool("alpha__echo", {})).content[0].text == "hello"


@pytest.mark.parametrize("wanted, limit", [(None, 3), (1, 1), (10, 10), (99, 10), (0, 1), (-5, 1)])
async def test_how_many_are_returned_is_kept_within_bounds(gateway, wanted, limit):
    words, many = WordRanker(), Remote(*(tool(f"x{number}") for number in range(20)))
    more = {} if wanted is None else {"max_results": wanted}
    async with gateway({"a": many}, ranker=words) as opened, client(opened) as connection:
        answer = (await ask(connection, "tool_search", {"query": "x", **more}))["structuredContent"]
    assert (len(answer["tools"]), answer["total_matches"], words.seen[0].limit) == (limit, 20, limit)


async def test_a_search_may_ask_for_another_ranker_or_for_a_regular_expression(gateway):
    async with gateway({"git": git()}) as opened, client(opened) as connection:
        for more in ({"ranker": "regex"}, {"use_regex": True}):
            answer = (await ask(connection, "tool_search", {"query": "close", **more}))["structuredContent"]
            assert (answer["search_type"], answer["total_matches"]) == ("regex", 1)
        answer = await ask(connection, "tool_search", {"query": "x", "ranker": "bm25", "use_regex": True})
        assert answer["structuredContent"]["search_type"] == "bm25"


@pytest.mark.parametrize("wanted, limit", [(11, 11), (50, 20), (99, 50)])
async def test_a_configuration_may_allow_more_than_ten(gateway, wanted, limit):
    words, many = WordRanker(), Remote(*(tool(f"x{number}") for number in range(20)))
    environ = {"GATEWAY_MAX_RESULTS": "50"}
    async with gateway({"a": many}, environ, ranker=words) as opened, client(opened) as connection:
        answer = (await ask(connection, "tool_search", {"query": "x", "max_results": wanted}))["structuredContent"]
        listed = await connection.request("tools/list", {})
    assert (len(answer["tools"]), words.seen[0].limit) == (min(limit, 20), min(wanted, 50))
    assert "1 to 50" in listed["tools"][0]["inputSchema"]["properties"]["max_results"]["description"]


@pytest.mark.parametrize("server, expected", [("git", {"git__x"}), (["hub", "lab"], {"hub__x", "lab__x"}), ([], 3)])
async def test_a_search_may_be_of_some_servers_only(gateway, server, expected):
    remotes = {name: Remote(tool("x")) for name in ("git", "hub", "lab")}
    async with gateway(remotes) as opened, client(opened) as connection:
        answer = (await ask(connection, "tool_search", {"query": "x", "server": server}))["structuredContent"]
    found = {item["tool_name"] for item in answer["tools"]}
    assert (found if isinstance(expected, set) else len(found)) == expected
    assert answer["total_matches"] == len(found)


async def test_a_search_that_finds_nothing_says_what_is_near(gateway):
    async with gateway({"git": git()}) as opened, client(opened) as connection:
        answer = (await ask(connection, "tool_search", {"query": "isues"}))["structuredContent"]
    assert (answer["success"], answer["tools"], answer["total_matches"], answer["label"]) == (True, [], 0, "none")
    assert "tools with such a name: git__close_issue, git__create_issue" in answer["hints"][0]
    Draft202012Validator(output_schema("tool_search")).validate(answer)


async def test_a_search_may_ask_for_the_reasons(gateway):
    class Explaining(WordRanker):
        async def build(self, documents):
            return self

        async def search(self, query):
            reasons = (Match(term="issue", fields=("name",), score=1.25),) if query.explain else ()
            return Hits(hits=(Hit(id="git__close_issue", score=1.25, matches=reasons),), total=1, label="strong")

    async with gateway({"git": git()}, ranker=Explaining()) as opened, client(opened) as connection:
        plain = (await ask(connection, "tool_search", {"query": "issue"}))["structuredContent"]
        answer = (await ask(connection, "tool_search", {"query": "issue", "explain": True}))["structuredContent"]
    assert (answer["tools"][0]["score"], answer["label"]) == (1.25, "strong")
    assert answer["tools"][0]["matches"] == [{"term": "issue", "fields": ["name"], "score": 1.25}]
    assert not {"score", "matches"} & plain["tools"][0].keys()
    Draft202012Validator(output_schema("tool_search")).validate(answer)


@eras
@pytest.mark.parametrize(
    "arguments, code, said",
    [
        ({"query": "x", "server": "gti"}, "unknown_server", "did you mean 'git'?"),
        ({"query": "x", "server": 3}, "invalid_arguments", "server"),
        ({"query": None}, "invalid_arguments", "tool_search: query: it is missing"),
        ({}, "invalid_arguments", "tool_search: query: it is missing"),
        ({"query": "x", "limit": 1}, "invalid_arguments", "limit"),
        ({"query": "x", "max_results": "many"}, "invalid_arguments", "max_results"),
        ({"query": "x", "ranker": "bm52"}, "unknown_ranker", "did you mean 'bm25'?"),
        ({"query": "(", "use_regex": True}, "invalid_pattern", "the parenthesis is not closed"),
    ],
)
async def test_a_search_that_cannot_be_made_says_why_with_a_code(gateway, modern, arguments, code, said):
    async with gateway({"git": git()}) as opened, client(opened, modern=modern) as connection:
        result = await ask(connection, "tool_search", arguments)
    answer = result["structuredContent"]
    assert (result["isError"], answer["success"], answer["error_code"]) == (True, False, code)
    assert said in answer["error"]
    assert json.loads(result["content"][0]["text"]) == answer
    Draft202012Validator(output_schema("tool_search")).validate(answer)


SENTENCE = "Create an issue in the tracker of the project. "


@pytest.mark.parametrize(
    "query, more, searched",
    [
        ("x" * 2000, {}, "x" * 2000),
        (SENTENCE * 40, {}, (SENTENCE * 40).strip()),
        (SENTENCE * 100, {}, (SENTENCE * 42).strip()),
        ("x" * 5000, {}, "x" * 2000),
        ("a|" * 99 + "ab", {"use_regex": True}, "a|" * 99 + "ab"),
        ("(issue|" + "word|" * 100 + "end)", {"use_regex": True}, f"(issue|{'word|' * 37}word)"),
        ("issue|" * 100 + "z", {"ranker": "regex"}, ("issue|" * 33).removesuffix("|")),
    ],
    ids=["words", "sentences", "too-many", "one-word", "pattern", "group", "alternatives"],
)
@eras
async def test_a_query_that_is_too_long_is_cut_with_a_hint_and_never_refused(gateway, modern, query, more, searched):
    async with gateway({"git": git()}) as opened, client(opened, modern=modern) as connection:
        answer = (await ask(connection, "tool_search", {"query": query, **more}))["structuredContent"]
    assert (answer["success"], answer["query"]) == (True, searched)
    hinted = f"the query has {len(query.strip()):,} characters, of which only the first {len(searched):,} were searched"
    assert any(hinted in hint for hint in answer["hints"]) == (len(query.strip()) > len(searched))
    Draft202012Validator(output_schema("tool_search")).validate(answer)


async def test_if_patterns_are_the_default_the_bound_is_that_of_patterns(gateway):
    environ = {"GATEWAY_RANKER": "regex"}
    async with gateway({"git": git()}, environ) as opened, client(opened) as connection:
        answer = (await ask(connection, "tool_search", {"query": "issue|" * 100}))["structuredContent"]
    assert answer["query"] == "issue|" * 32 + "issue"


@pytest.mark.parametrize(
    "query", ["*", "", "list all", "List all tools", "show me everything", "what tools are there?"]
)
@pytest.mark.parametrize("more", [{}, {"use_regex": True}], ids=["words", "pattern"])
@eras
async def test_who_wants_all_tools_is_led_to_discovery(gateway, modern, query, more):
    remotes = {"git": git(), "hub": Remote(tool("x"))}
    async with gateway(remotes) as opened, client(opened, modern=modern) as connection:
        answer = (await ask(connection, "tool_search", {"query": query, **more}))["structuredContent"]
        one = (await ask(connection, "tool_search", {"query": query, "server": "hub", **more}))["structuredContent"]
    said = "discover_tools lists all tools of one server: call it with server_name, one of: "
    assert f"{said}git, hub" in answer["hints"][0]
    assert one["hints"][0].endswith(f"{said}hub")
    Draft202012Validator(output_schema("tool_search")).validate(answer)


@pytest.mark.parametrize("query", ["list all issues", "get weather", "find a tool to send mail", "create"])
async def test_who_wants_some_tools_is_not(gateway, query):
    async with gateway({"git": git()}) as opened, client(opened) as connection:
        answer = (await ask(connection, "tool_search", {"query": query}))["structuredContent"]
    assert not any("server_name, one of" in hint for hint in answer["hints"])


@pytest.mark.parametrize("server", ["hub, lab", "hub,lab", '["hub", "lab"]', ["hub", "lab"], " hub , lab "], ids=repr)
async def test_servers_may_be_separated_by_commas(gateway, server):
    async with (
        gateway({name: Remote(tool("x")) for name in ("git", "hub", "lab")}) as opened,
        client(opened) as connection,
    ):
        answer = (await ask(connection, "tool_search", {"query": "x", "server": server}))["structuredContent"]
    assert {item["tool_name"] for item in answer["tools"]} == {"hub__x", "lab__x"}


@eras
async def test_null_is_taken_for_missing(gateway, modern):
    missing = dict.fromkeys(["max_results", "use_regex", "ranker", "server", "explain"])
    async with gateway({"git": git()}) as opened, client(opened, modern=modern) as connection:
        plain = await ask(connection, "tool_search", {"query": "issue"})
        assert await ask(connection, "tool_search", {"query": "issue", **missing}) == plain


async def test_a_search_says_which_servers_tools_may_be_missing(gateway):
    broken = Remote()
    broken.refusal = OSError("no route")
    keys = {"broken": {"max_retries": 0}, "off": {"description": "${NOT_THERE}"}}
    async with (
        gateway({"git": git(), "broken": broken, "off": Remote()}, **keys) as opened,
        client(opened) as connection,
    ):
        answer = (await ask(connection, "tool_search", {"query": "issue"}))["structuredContent"]
    assert answer["total_matches"] == 2
    assert sorted(answer["servers"]) == [
        f"broken: down since {opened.gateway.registry.states['broken'].clock}: OSError: no route",
        "off: not used: the environment variable NOT_THERE is not set",
    ]


@eras
async def test_discovering_asks_the_server_again_and_lists_all_of_it(gateway, modern):
    alpha = git()
    async with gateway({"git": alpha}) as opened, client(opened, modern=modern) as connection:
        await ask(connection, "discover_tools", {"server_name": "git"})
        alpha.tools = [_issue()]
        answer = (await ask(connection, "discover_tools", {"server_name": "git"}))["structuredContent"]
    assert (answer["success"], answer["server_name"], answer["tool_count"]) == (True, "git", 1)
    assert answer["tools"][0]["tool_name"] == "git__create_issue"
    assert answer["tools"][0]["input_schema"] == SCHEMA
    Draft202012Validator(output_schema("discover_tools")).validate(answer)


@pytest.mark.parametrize(
    "arguments, code",
    [({"server_name": "gti"}, "unknown_server"), ({}, "invalid_arguments"), ({"server_name": 3}, "invalid_arguments")],
)
async def test_discovering_what_is_not_there_is_an_error_with_a_code(gateway, arguments, code):
    async with gateway({"git": git()}) as opened, client(opened) as connection:
        result = await ask(connection, "discover_tools", arguments)
    assert (result["isError"], result["structuredContent"]["error_code"]) == (True, code)


async def test_discovering_a_server_that_is_down_is_an_error_with_a_code(gateway):
    alpha = Remote()
    alpha.refusal = OSError("no route")
    async with gateway({"alpha": alpha}, alpha={"max_retries": 0}) as opened, client(opened) as connection:
        result = await ask(connection, "discover_tools", {"server_name": "alpha"})
    assert result["structuredContent"]["error_code"] == "server_unavailable"


async def test_a_ranker_that_breaks_is_reported_without_its_message_which_may_hold_a_secret(gateway):
    class Broken(WordRanker):
        async def build(self, documents):
            raise RuntimeError("s3cr3t-Marker")

    async with gateway({"git": git()}, ranker=Broken()) as opened, client(opened) as connection:
        with anyio.fail_after(20):
            result = await ask(connection, "tool_search", {"query": "x"})
    assert (result["isError"], result["structuredContent"]["error_code"]) == (True, "unavailable")
    assert "s3cr3t" not in json.dumps(result)
