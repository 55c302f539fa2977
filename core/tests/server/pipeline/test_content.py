"""Prompts, resources, completions and tasks pass as they are, in every pair of eras and through either entrance."""

from __future__ import annotations

import json

import pytest
from mcp.shared.exceptions import MCPError

from mcp_gateway.discovery.refresher import ANONYMOUS

from ...support.era_client import open_era_client
from ...support.fake_servers import ScriptedTransport, until

ODD = {"vendor": {"z": None, "a": [2**70, 1.0, "ü"]}}
OFFERED = {"prompts": {}, "resources": {}, "completions": {}, "tasks": {"list": {}, "cancel": {}}}
PROMPT = {"messages": [{"role": "user", "content": {"type": "hologram", **ODD}}], **ODD}
CONTENT = {"contents": [{"uri": "x:y", "text": "ü", **ODD}], **ODD}
COMPLETION = {"completion": {"values": ["a"], **ODD}, **ODD}
TASK = {"taskId": "t", "status": "working", **ODD}

REQUESTS = {
    "prompts/get": ({"name": "alpha__p", "arguments": {"a": "b"}}, PROMPT),
    "resources/read": ({"uri": "x:y"}, CONTENT),
    "completion/complete": (
        {"ref": {"type": "ref/prompt", "name": "alpha__p"}, "argument": {"name": "a", "value": "b"}},
        COMPLETION,
    ),
    "tasks/get": ({"taskId": "t"}, TASK),
}


class Content:
    """A server's answers, and the params of what it was asked."""

    def __init__(self, *, handshake):
        greeting = {"capabilities": OFFERED, "serverInfo": {"name": "a", "version": "1"}}
        self.asked = {}
        self.answers = {
            "initialize": {**greeting, "protocolVersion": "2025-11-25"},
            "prompts/list": {"prompts": [{"name": "p", "arguments": [{"name": "a"}], **ODD}]},
            "resources/list": {"resources": [{"uri": "x:y", "name": "y", **ODD}]},
            "resources/templates/list": {"resourceTemplates": []},
        }
        if not handshake:
            self.answers["server/discover"] = {**greeting, "supportedVersions": ["2026-07-28"]}
        for method, (_, result) in REQUESTS.items():
            self.answers[method] = self.answer(method, result)

    def answer(self, method, result):
        def note(params):
            self.asked.setdefault(method, []).append(params)
            return result

        return note


@pytest.mark.parametrize("entrance", ["bytes", "sdk"])
@pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])
@pytest.mark.parametrize("handshake", [True, False], ids=["to-handshake", "to-modern"])
async def test_a_result_passes_as_it_is_and_so_do_the_params(gateway, entrance, modern, handshake):
    content = Content(handshake=handshake)
    async with (
        gateway({"alpha": ScriptedTransport(content.answers)}) as opened,
        open_era_client(opened, entrance, modern=modern) as client,
    ):
        await opened.gateway.discover("alpha", ANONYMOUS)
        await until(lambda: not opened.gateway.discovery.running)
        for method, (params, expected) in REQUESTS.items():
            result = (await client.request(method, {**params, **ODD}, token="t", **{"vendor/x": None}))["result"]
            kept = {name: value for name, value in result.items() if name in expected}
            assert json.dumps(kept) == json.dumps(expected), method
            assert result.get("resultType") == ("complete" if modern else None), method
            [asked] = content.asked[method]
            assert (asked["vendor"], asked["_meta"]["vendor/x"]) == (ODD["vendor"], None), method
            if method != "completion/complete":  # there is nothing to report of it
                assert isinstance(asked["_meta"]["progressToken"], int), method
        for method, member in (("prompts/list", "prompts"), ("resources/list", "resources")):
            [definition] = (await client.request(method))["result"][member]
            assert definition["vendor"] == ODD["vendor"]


@pytest.mark.parametrize("modern, code", [(True, -32602), (False, -32002)], ids=["modern", "handshake"])
async def test_what_is_not_there_is_told_with_the_code_of_the_clients_era(gateway, modern, code):
    content = Content(handshake=True)
    content.answers["resources/read"] = MCPError(-32002, "gone", {"uri": "x:y"})
    async with (
        gateway({"alpha": ScriptedTransport(content.answers)}) as opened,
        open_era_client(opened, "bytes", modern=modern) as client,
    ):
        await opened.gateway.discover("alpha", ANONYMOUS)
        assert (await client.request("resources/read", {"uri": "x:y"}))["error"]["code"] == code
        assert (await client.request("resources/read", {"uri": "x:other"}))["error"]["code"] == code


@pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])
async def test_what_no_server_takes_is_an_unknown_method(gateway, modern):
    async with (
        gateway({"alpha": ScriptedTransport(Content(handshake=True).answers)}) as opened,
        open_era_client(opened, "bytes", modern=modern) as client,
    ):
        error = (await client.request("vendor/thing", {"a": 1}))["error"]
    assert (error["code"], error["data"]) == (-32601, {"error_code": "unknown_method"})
    assert "no server here takes 'vendor/thing'" in error["message"]


@pytest.mark.parametrize("entrance", ["bytes", "sdk"])
@pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])
async def test_a_server_that_stands_alone_takes_any_method(gateway, entrance, modern):
    content, alone = Content(handshake=not modern), {"alpha": {"namespace": None, "expose_tools": True}}
    content.answers["vendor/thing"] = content.answer("vendor/thing", ODD)
    async with gateway({"alpha": ScriptedTransport(content.answers)}, **alone) as opened:
        await opened.gateway.discover("alpha", ANONYMOUS)
        async with open_era_client(opened, entrance, modern=modern) as client:
            result = (await client.request("vendor/thing", {"a": [None]}))["result"]
    assert result["vendor"] == ODD["vendor"]
    assert content.asked["vendor/thing"][0]["a"] == [None]
