"""The fast path: plain calls get the same answers there as on the SDK path, and nothing else goes there."""

from __future__ import annotations

import json

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from mcp_gateway.discovery.refresher import ANONYMOUS

from ...support.fake_servers import Remote, text, tool, until
from ...support.gateway import client, server_of

MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
}
HEADERS = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "alpha__x"}
ODD = {"z": None, "content": [{"type": "hologram", "n": 2**70, "f": 1.0}], "_meta": {"vendor/x": 1}, "a": []}


def call(name="alpha__x", arguments=None, meta=MODERN, **changes):
    params = {"name": name, "arguments": arguments or {}, **({"_meta": meta} if meta is not None else {})}
    return json.dumps({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params, **changes}).encode()


async def dispatch(opened, message, headers=None):
    answering = server_of(opened).dispatch_raw(message, headers)
    assert answering is not None
    return json.loads((await answering).message)


async def discover_alpha(opened):
    await opened.gateway.discover("alpha", ANONYMOUS)
    return opened


async def test_a_modern_call_gets_the_servers_result_with_the_envelope_of_its_era(gateway):
    alpha = Remote(tool("x"))
    alpha.answers["x"] = ODD
    async with gateway({"alpha": alpha}) as opened:
        response = await dispatch(await discover_alpha(opened), call(arguments={"n": 2**70}))
    result = response["result"]
    assert (response["id"], result.pop("resultType")) == (7, "complete")
    assert result.pop("_meta").keys() == {"vendor/x", "io.modelcontextprotocol/serverInfo"}
    assert json.dumps(result) == json.dumps({key: value for key, value in ODD.items() if key != "_meta"})
    assert alpha.calls[-1]["arguments"] == {"n": 2**70}


async def test_a_client_of_the_handshake_era_gets_it_without(gateway):
    alpha = Remote(tool("x"), handshake=True)
    alpha.answers["x"] = ODD
    async with gateway({"alpha": alpha}) as opened, client(await discover_alpha(opened), modern=False):
        await until(lambda: server_of(opened)._clients.raw_client(None))
        assert (await dispatch(opened, call(meta=None)))["result"] == ODD


async def test_a_remote_call_is_the_call_of_the_tool_that_it_names(gateway):
    alpha = Remote(tool("x"))
    async with gateway({"alpha": alpha}) as opened:
        message = call("call_remote_tool", {"tool_name": "alpha__x", "arguments": {"n": 1}})
        assert (await dispatch(await discover_alpha(opened), message))["result"]["content"] == text("done")["content"]
    assert (alpha.calls[-1]["name"], alpha.calls[-1]["arguments"]) == ("x", {"n": 1})


async def test_an_error_of_the_servers_is_an_error_with_its_code_and_data(gateway):
    alpha = Remote(tool("x"))
    alpha.answers["x"] = MCPError(-31999, "no", {"why": [None]})
    async with gateway({"alpha": alpha}) as opened:
        answer = await server_of(opened).dispatch_raw((call()) if await discover_alpha(opened) else b"")
    assert json.loads(answer.message)["error"] == {"code": -31999, "message": "no", "data": {"why": [None]}}
    assert answer.error == -31999


@pytest.mark.parametrize(
    "message",
    [
        b"nonsense",
        call("tool_search"),
        call("alpha__unknown"),
        call("beta__x"),
        call("call_remote_tool", {"tool_name": "alpha__x", "auth_header": "x"}),
        call(meta={**MODERN, "progressToken": 1}),
        call(meta={**MODERN, "io.modelcontextprotocol/logLevel": "debug"}),
        call(meta={**MODERN, "io.modelcontextprotocol/protocolVersion": "2027-01-01"}),
        call(meta={**MODERN, "io.modelcontextprotocol/clientCapabilities": 3}),
        call(meta={**MODERN, "io.modelcontextprotocol/clientInfo": {"name": 3}}),
        call(meta=None),
    ],
)
async def test_what_is_not_plain_takes_the_sdk_path(gateway, message):
    async with gateway({"alpha": Remote(tool("x"))}) as opened:
        assert server_of(await discover_alpha(opened)).dispatch_raw(message) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"mcp-name": "alpha__y"},
        {"mcp-method": "tools/list"},
        {"mcp-protocol-version": "2025-11-25"},
        {"mcp-param-n": "1"},
        {"mcp-name": "=?base64?YWxwaGFfX3g=?="},
    ],
)
async def test_headers_must_say_what_the_message_says(gateway, wrong):
    async with gateway({"alpha": Remote(tool("x"))}) as opened:
        assert server_of(await discover_alpha(opened)).dispatch_raw(call(), {**HEADERS, **wrong}) is None
        assert (await dispatch(opened, call(), HEADERS))["result"]["resultType"] == "complete"


async def test_a_client_that_the_server_may_ask_takes_the_sdk_path(gateway):
    able = {**MODERN, "io.modelcontextprotocol/clientCapabilities": {"roots": {}}}
    async with gateway({"alpha": Remote(tool("x"), handshake=True)}) as opened:
        assert server_of(await discover_alpha(opened)).dispatch_raw(call(meta=able)) is None
    async with gateway({"alpha": Remote(tool("x"))}) as opened:
        assert (await dispatch(await discover_alpha(opened), call(meta=able)))["result"]["resultType"] == "complete"


async def test_without_the_fast_path_nothing_goes_there(gateway):
    async with gateway({"alpha": Remote(tool("x"))}, {"GATEWAY_DIRECT": "false"}) as opened:
        assert server_of(await discover_alpha(opened)).dispatch_raw(call()) is None


async def test_a_call_that_its_client_cancels_is_cancelled_at_the_server_and_not_answered(gateway):
    began, ended = anyio.Event(), anyio.Event()

    async def work(_):
        began.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    alpha, answers = Remote(tool("x")), []
    alpha.answers["x"] = work
    async with gateway({"alpha": alpha}) as opened, anyio.create_task_group() as tasks:
        answering = server_of(await discover_alpha(opened)).dispatch_raw(call())

        async def answer():
            answers.append(await answering)

        tasks.start_soon(answer)
        await began.wait()
        server_of(opened)._direct.cancel("pipe", 7)
        await ended.wait()
        await until(lambda: answers)
    assert answers[0].message == b""


# -- lists


def list_message(meta=MODERN, **params):
    params |= {"_meta": meta} if meta is not None else {}
    return json.dumps({"jsonrpc": "2.0", "id": "a", "method": "tools/list", "params": params}).encode()


EXPOSED = {"alpha": {"expose_tools": True}}
LISTING = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list"}


@pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])
async def test_a_list_is_the_one_of_the_sdk_path(gateway, modern):
    alpha = Remote(tool("x", title=None, vendor={"n": 2**70}), tool("ü"))
    async with (
        gateway({"alpha": alpha}, **EXPOSED) as opened,
        client(await discover_alpha(opened), modern=modern) as connection,
    ):
        listed = await connection.request("tools/list", {})
        await until(lambda: not opened.gateway.discovery.running)
        await until(lambda: modern or server_of(opened)._clients.raw_client(None))
        direct = (await dispatch(opened, list_message(MODERN if modern else None)))["result"]
    for result in (listed, direct):
        result.pop("ttlMs", None)  # it grows less meanwhile
    assert json.dumps(direct["tools"]) == json.dumps(listed["tools"])
    assert direct == listed


async def test_a_list_follows_the_catalogue(gateway):
    alpha = Remote(tool("x"))
    async with gateway({"alpha": alpha}, **EXPOSED) as opened:
        await discover_alpha(opened)
        await until(lambda: not opened.gateway.discovery.running)
        assert "alpha__y" not in str(await dispatch(opened, list_message(), LISTING))
        alpha.tools.append(tool("y"))
        await discover_alpha(opened)
        assert "alpha__y" in str(await dispatch(opened, list_message(), LISTING))


@pytest.mark.parametrize(
    "message, headers",
    [
        (list_message(cursor="1"), LISTING),
        (list_message({**MODERN, "progressToken": 1}), LISTING),
        (list_message(), {**LISTING, "mcp-method": "tools/call"}),
        (list_message(), {**LISTING, "mcp-name": "x"}),
        (list_message(None), {}),
    ],
)
async def test_a_request_for_a_list_that_is_not_plain_takes_the_sdk_path(gateway, message, headers):
    async with gateway({"alpha": Remote(tool("x"))}, **EXPOSED) as opened:
        assert server_of(await discover_alpha(opened)).dispatch_raw(message, headers) is None


@pytest.mark.parametrize("handshake", [True, False])
async def test_callers_with_ever_other_tokens_are_not_noted_one_by_one_on_a_session_that_they_share(gateway, handshake):
    alpha = Remote(tool("x"), handshake=handshake)
    async with gateway({"alpha": alpha}) as opened:
        await discover_alpha(opened)
        for number in range(20):
            assert "result" in await dispatch(opened, call(), {**HEADERS, "authorization": f"Bearer {number}"})
        noted = [len(session.router.clients) for session in opened.gateway.pool._shared.sessions.values()]
    assert len(alpha.calls) == 20
    assert max(noted) <= 2
