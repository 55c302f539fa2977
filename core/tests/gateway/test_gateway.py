"""Calls through the gateway: the server's own answer, untouched, or an error that a model can act on."""

from __future__ import annotations

import pytest

from mcp_gateway.catalog.resolver import MalformedName, UnknownServer, UnknownTool
from mcp_gateway.plugin import ANONYMOUS, ServerUnavailable
from mcp_gateway.protocol.raw_json import decode_members, encode_members
from mcp_gateway.protocol.tool_names import sanitize_server_names

from ..support.fake_servers import Remote, text, tool


async def test_a_call_returns_what_the_server_answered_with_every_field_it_has(gateway):
    odd = {
        "z": None,
        "content": [{"type": "hologram", "rays": [2**70]}],
        "a": {"deep": [None]},
        "isError": True,
        "_meta": {"vendor/x": 1},
    }
    alpha = Remote(tool("odd"))
    alpha.answers["odd"] = odd
    async with gateway({"alpha": alpha}) as opened:
        answer = await opened.gateway.call("alpha__odd", encode_members({"arguments": {"n": 2**70}}), ANONYMOUS)
    assert decode_members({key: answer[key] for key in odd}) == odd
    assert [key for key in answer if key in odd] == list(odd)
    assert alpha.calls[0]["arguments"] == {"n": 2**70}
    assert alpha.calls[0]["name"] == "odd"


async def test_a_name_splits_at_the_first_separator_so_a_tools_name_may_hold_one(gateway):
    alpha = Remote(tool("do__it"))
    async with gateway({"alpha": alpha}) as opened:
        answer = await opened.gateway.call("alpha__do__it", {}, ANONYMOUS)
    assert decode_members(answer)["content"] == text("done")["content"]
    assert alpha.calls[0]["name"] == "do__it"


@pytest.mark.parametrize("name", ["echo", "alpha_echo", "__echo", "alpha__", ""])
async def test_a_name_that_is_no_full_name_is_malformed_and_the_error_says_how_names_look(gateway, name):
    async with gateway({"alpha": Remote(tool("echo"))}) as opened:
        with pytest.raises(MalformedName, match=r"form server__tool.*tool_search"):
            await opened.gateway.call(name, {}, ANONYMOUS)


async def test_a_malformed_name_brings_the_nearest_full_names(gateway):
    async with gateway({"alpha": Remote(tool("echo"))}) as opened:
        await opened.gateway.discover("alpha", ANONYMOUS)
        with pytest.raises(MalformedName, match=r"did you mean 'alpha__echo'\?"):
            await opened.gateway.call("alpha_echo", {}, ANONYMOUS)


@pytest.mark.parametrize("written", ["高德地图", "My Server", "my server!"])
async def test_a_server_is_known_by_the_name_that_its_file_has_for_it(gateway, written):
    names = sanitize_server_names(["高德地图", "My Server", "my server!", "my-server"])
    assert len(set(names.values())) == len(names)
    async with gateway({valid: Remote(tool("x")) for valid in names.values()}) as opened:
        assert opened.gateway.resolver.server(written).name == names[written]
        assert (await opened.gateway.discover(written, ANONYMOUS)).server == names[written]


async def test_an_unknown_server_brings_the_nearest_and_all_there_are(gateway):
    async with gateway({"github": Remote(), "time": Remote()}) as opened:
        with pytest.raises(
            UnknownServer, match=r"no server is called 'gitbuh'; did you mean 'github'\? servers: github, time"
        ):
            await opened.gateway.call("gitbuh__x", {}, ANONYMOUS)


async def test_a_disabled_server_says_why_it_is(gateway):
    async with gateway({"alpha": Remote()}, alpha={"description": "${NOT_THERE}"}) as opened:
        with pytest.raises(UnknownServer, match="not used: the environment variable NOT_THERE is not set"):
            await opened.gateway.discover("alpha", ANONYMOUS)


async def test_an_unknown_tool_brings_near_names_of_the_same_server(gateway):
    async with gateway({"alpha": Remote(tool("create_issue"), tool("close"))}) as opened:
        with pytest.raises(UnknownTool, match=r"has no tool 'create_isue'; did you mean 'alpha__create_issue'\?"):
            await opened.gateway.call("alpha__create_isue", {}, ANONYMOUS)


async def test_a_tool_that_is_new_on_the_server_is_found_by_asking_again(gateway, monkeypatch):
    monkeypatch.setattr("mcp_gateway.gateway.find_tool._RECHECK_SECONDS", -1.0)
    alpha = Remote(tool("old"))
    async with gateway({"alpha": alpha}) as opened:
        await opened.gateway.discover("alpha", ANONYMOUS)
        alpha.tools.append(tool("new"))
        assert (await opened.gateway.call("alpha__new", {}, ANONYMOUS))["content"]


async def test_a_server_that_cannot_be_reached_is_named(gateway):
    alpha = Remote()
    alpha.refusal = OSError("no route")
    async with gateway({"alpha": alpha}, alpha={"max_retries": 0}) as opened:
        with pytest.raises(ServerUnavailable, match="server 'alpha' is not available: OSError: no route"):
            await opened.gateway.call("alpha__x", {}, ANONYMOUS)
