"""Listing and calling, through a real connection in both eras: constant lists, raw results, errors with codes."""

from __future__ import annotations

import json

import anyio
import pytest
from mcp import Client
from mcp.client._memory import InMemoryTransport
from mcp.shared.exceptions import MCPError

from mcp_gateway.plugin import ANONYMOUS

from ..support.fake_servers import Remote, tool, until
from ..support.gateway import ask, client, server_of

eras = pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])
downstream = pytest.mark.parametrize("handshake", [True, False], ids=["to handshake", "to modern"])

BUILTIN = ["tool_search", "discover_tools", "call_remote_tool"]
EXPOSED = {"alpha": {"expose_tools": True}}

ODD = {
    "zeta": None,
    "content": [{"type": "hologram", "rays": [None, 2**70]}, {"type": "text", "text": "✓", "xVendor": None}],
    "structuredContent": {"b": 1.5, "a": [None]},
    "isError": True,
    "vendorField": {"z": 1, "a": None},
}


async def list_tools(connection):
    return (await connection.request("tools/list", {}))["tools"]


def sdk_client(opened, mode="auto"):
    return Client(InMemoryTransport(server_of(opened)), mode=mode)


@eras
async def test_half_a_character_of_a_clients_is_passed_on_as_what_no_character_is(gateway, modern):
    alpha = Remote(tool("x"), handshake=not modern)
    async with gateway({"alpha": alpha}) as opened, client(opened, modern=modern) as connection:
        await ask(connection, "alpha__x", {"text": "cut \ud83d", "whole": "\U0001f600", "n": 1.0})
    assert alpha.calls[-1]["arguments"] == {"text": "cut \ufffd", "whole": "\U0001f600", "n": 1.0}


# -- listing


@eras
async def test_only_the_gateways_own_tools_are_listed(gateway, modern):
    async with gateway({"alpha": Remote(tool("x"))}) as opened, client(opened, modern=modern) as connection:
        assert [item["name"] for item in await list_tools(connection)] == BUILTIN


@eras
async def test_the_list_does_not_change_because_of_a_search_or_a_call(gateway, modern):
    async with gateway({"alpha": Remote(tool("x"))}) as opened, client(opened, modern=modern) as connection:
        before = await list_tools(connection)
        await ask(connection, "tool_search", {"query": "x"})
        await ask(connection, "alpha__x")
        assert await list_tools(connection) == before


@eras
async def test_exposed_tools_are_listed_too_with_their_whole_definitions(gateway, modern):
    odd = tool("x", "An odd one", vendor={"n": None, "big": 2**70}, outputSchema={"type": "object", "x": None})
    remotes = {"alpha": Remote(odd), "beta": Remote(tool("hidden"))}
    async with gateway(remotes, **EXPOSED) as opened, client(opened, modern=modern) as connection:
        tools = await list_tools(connection)
    assert [item["name"] for item in tools] == [*BUILTIN, "alpha__x"]
    assert tools[-1] == {**odd, "name": "alpha__x"}
    assert list(tools[-1]) == list(odd)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize(
    "odd",
    [
        {"inputSchema": None},
        {"inputSchema": {}},
        {"inputSchema": True},
        {"inputSchema": {"type": "array"}},
        {"outputSchema": True},
        {"outputSchema": {"type": "array"}},
        {"title": 3},
        {"description": []},
        {"annotations": []},
        {"_meta": 3},
    ],
    ids=str,
)
async def test_one_odd_definition_does_not_cost_a_client_the_whole_list(gateway, mode, odd):
    alpha = Remote({**tool("odd"), **odd}, tool("fine"))
    async with gateway({"alpha": alpha}, **EXPOSED) as opened, sdk_client(opened, mode) as connection:
        names = [item.name for item in (await connection.list_tools()).tools]
        assert (await connection.call_tool("call_remote_tool", {"tool_name": "alpha__odd"})).content[0].text == "done"
    assert [name for name in names if name != "alpha__odd"] == [*BUILTIN, "alpha__fine"]
    assert ("alpha__odd" in names) is (odd.get("inputSchema") in (None, {}))


async def test_a_modern_client_may_not_keep_the_list_or_share_it(gateway):
    async with gateway({}) as opened, client(opened) as connection:
        answer = await connection.request("tools/list", {})
    assert (answer["ttlMs"], answer["cacheScope"], answer["resultType"]) == (0, "private", "complete")


@eras
async def test_a_client_is_notified_of_the_servers_inside(gateway, modern):
    about = {"description": "tells the time"}
    async with gateway({"alpha": Remote()}, alpha=about) as opened, client(opened, modern=modern) as connection:
        assert "- alpha: tells the time" in connection.initialize_result["instructions"]


# -- calling


@eras
@downstream
async def test_a_result_arrives_as_the_server_sent_it_whichever_way_it_is_called(gateway, modern, handshake):
    alpha = Remote(tool("odd"), handshake=handshake)
    alpha.answers["odd"] = ODD
    async with gateway({"alpha": alpha}) as opened, client(opened, modern=modern) as connection:
        for name, arguments in (("call_remote_tool", {"tool_name": "alpha__odd"}), ("alpha__odd", {})):
            result = await ask(connection, name, arguments)
            kept = {key: value for key, value in result.items() if key in ODD}
            assert json.dumps(kept) == json.dumps(ODD)


@eras
async def test_arguments_arrive_as_the_client_sent_them(gateway, modern):
    alpha, sent = Remote(tool("x")), {"n": 2**70, "none": None, "z": {"a": [1.5]}, "a": "ü"}
    async with gateway({"alpha": alpha}) as opened, client(opened, modern=modern) as connection:
        await ask(connection, "alpha__x", sent, _meta={"traceparent": "00-1"})
        await ask(connection, "call_remote_tool", {"tool_name": "alpha__x", "arguments": sent})
    assert [json.dumps(call["arguments"]) for call in alpha.calls] == [json.dumps(sent)] * 2
    assert alpha.calls[0]["_meta"]["traceparent"] == "00-1"


@eras
async def test_a_servers_own_error_arrives_with_its_code_and_data(gateway, modern):
    alpha = Remote(tool("x"))
    alpha.answers["x"] = MCPError(-31999, "it fails on purpose", {"why": None, "big": 2**70})
    async with gateway({"alpha": alpha}) as opened, client(opened, modern=modern) as connection:
        for name, arguments in (("call_remote_tool", {"tool_name": "alpha__x"}), ("alpha__x", {})):
            with pytest.raises(MCPError) as caught:
                await ask(connection, name, arguments)
            error = caught.value.error
            assert (error.code, error.message, error.data) == (
                -31999,
                "it fails on purpose",
                {"why": None, "big": 2**70},
            )


@eras
@pytest.mark.parametrize("name", ["nonsense", "gamma__x", "alpha__z"])
async def test_calling_an_unknown_tool_directly_is_a_protocol_error(gateway, modern, name):
    async with gateway({"alpha": Remote(tool("x"))}) as opened, client(opened, modern=modern) as connection:
        with pytest.raises(MCPError, match="Unknown tool: ") as caught:
            await ask(connection, name)
    assert caught.value.error.code == -32602


@pytest.mark.parametrize(
    "arguments, code, said",
    [
        ({"tool_name": "nonsense"}, "malformed_name", "tool_search"),
        ({"tool_name": "alhpa__x"}, "unknown_server", "did you mean 'alpha'?"),
        ({"tool_name": "alpha__create_isue"}, "unknown_tool", "did you mean 'alpha__create_issue'?"),
        ({}, "invalid_arguments", "tool_name: it is missing"),
        ({"tool_name": "alpha__x", "arguments": 3}, "invalid_arguments", "arguments"),
        ({"tool_name": "alpha__x", "arguments": {}, "args": {}}, "invalid_arguments", "args"),
        ({"tool_name": None, "arguments": {}}, "invalid_arguments", "tool_name: it is missing"),
        ({"tool_name": "alpha__x", "arguments": "[1]"}, "invalid_arguments", "arguments"),
        ({"tool_name": "alpha__x", "arguments": "not json"}, "invalid_arguments", "arguments"),
        ({"tool_name": "alpha__x", "arguments": '{"x": NaN}'}, "invalid_arguments", "arguments"),
        ({"tool_name": "alpha__x", "auth_header": "a\nb"}, "invalid_arguments", "control characters"),
        ({"tool_name": "alpha__x", "auth_header": "Bearer x"}, "unauthorized", "carries no headers"),
    ],
)
async def test_a_call_that_cannot_be_made_says_why_with_a_code(gateway, arguments, code, said):
    alpha = Remote(tool("x"), tool("create_issue"))
    async with gateway({"alpha": alpha}) as opened, client(opened) as connection:
        result = await ask(connection, "call_remote_tool", arguments)
    assert (result["isError"], result["structuredContent"]["error_code"]) == (True, code)
    assert said in result["structuredContent"]["error"]
    assert alpha.calls == []


async def test_a_call_may_bring_a_header_of_its_own_for_this_one_call(gateway):
    alpha = Remote(tool("x"), credentials=True)
    async with gateway({"alpha": alpha}) as opened, client(opened) as connection:
        await ask(connection, "call_remote_tool", {"tool_name": "alpha__x", "auth_header": "Bearer once"})
        await ask(connection, "call_remote_tool", {"tool_name": "alpha__x"})
    assert sorted(map(json.dumps, alpha.opened)) == ['{"Authorization": "Bearer once"}', "{}"]
    assert "Bearer" not in json.dumps(alpha.calls)


@eras
@pytest.mark.parametrize("empty", ["", " ", None])
async def test_optional_arguments_that_are_empty_are_taken_for_missing(gateway, modern, empty):
    alpha = Remote(tool("x"), credentials=True)
    every = {"query": "x", "max_results": 3, "use_regex": False, "ranker": empty, "server": empty, "explain": False}
    async with gateway({"alpha": alpha}) as opened, client(opened, modern=modern) as connection:
        found = await ask(connection, "tool_search", every)
        assert [each["tool_name"] for each in found["structuredContent"]["tools"]] == ["alpha__x"]
        called = await ask(
            connection, "call_remote_tool", {"tool_name": "alpha__x", "arguments": {"a": 1}, "auth_header": empty}
        )
        assert called.get("isError", False) is False
    assert {json.dumps(credentials) for credentials in alpha.opened} == {"{}"}


@eras
async def test_a_call_that_the_client_gives_up_is_cancelled_at_the_server(gateway, modern):
    began, ended = anyio.Event(), anyio.Event()

    async def work(_):
        began.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    alpha = Remote(tool("x"))
    alpha.answers["x"] = work
    async with gateway({"alpha": alpha}) as opened, client(opened, modern=modern) as connection:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, connection, "alpha__x")
            await began.wait()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(5):
            await ended.wait()


async def test_a_client_of_a_stateful_server_takes_its_session_with_it(gateway):
    alpha = Remote(tool("x"))
    async with gateway({"alpha": alpha}, alpha={"connection_mode": "stateful"}) as opened:
        await opened.gateway.discover("alpha", ANONYMOUS)
        async with client(opened, modern=False) as one, client(opened, modern=False) as other:
            for connection in (one, other, one):
                await ask(connection, "alpha__x")
            assert alpha.open == 3
        await until(lambda: alpha.open == 1)
