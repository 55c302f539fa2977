"""What passes between clients and servers of either era during a call, through either entrance."""

from __future__ import annotations

import json

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from mcp_gateway.protocol._sdk import request_outbound_of

from ...support.era_client import open_era_client
from ...support.fake_servers import Remote, text, tool, until
from ...support.raw_client import discover_alpha

entrances = pytest.mark.parametrize("entrance", ["bytes", "sdk"])
eras = pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])
servers = pytest.mark.parametrize("handshake", [True, False], ids=["to-handshake", "to-modern"])

EVERYTHING = {"roots": {}, "sampling": {}, "elicitation": {"form": {}, "url": {}}}
FORM = {"message": "Your name?", "requestedSchema": {"type": "object", "properties": {}}, "vendor": [None, 2**70]}
SAMPLE = {"messages": [], "maxTokens": 7, "vendor": {"n": 1.0}}
QUESTIONS = {
    "elicitation/create": (FORM, {"action": "accept", "content": {"name": "Ada", "n": 2**70}, "vendor": None}),
    "sampling/createMessage": (SAMPLE, {"role": "assistant", "content": {"type": "text", "text": "ü"}, "model": "m"}),
    "roots/list": ({}, {"roots": [{"uri": "file:///x", "vendor": [None]}]}),
}
questions = pytest.mark.parametrize("method", QUESTIONS)


def call(**arguments):
    return {"name": "alpha__x", "arguments": arguments}


async def notify(ctx, method, params):
    await request_outbound_of(ctx.session).notify(method, params)


def methods(client):
    return [message["method"] for message in client.received]


@entrances
@eras
@servers
async def test_an_ordinary_call_gets_its_result_as_it_is_with_the_envelope_of_its_era(
    gateway, entrance, modern, handshake
):
    odd = {"z": None, "content": [{"type": "hologram", "n": 2**70, "f": 1.0}], "_meta": {"vendor/x": 1}, "a": []}
    alpha = Remote(tool("x"), handshake=handshake)
    alpha.answers["x"] = odd
    async with (
        gateway({"alpha": alpha}) as opened,
        open_era_client(await discover_alpha(opened), entrance, modern=modern, capabilities=EVERYTHING) as client,
    ):
        response = await client.request("tools/call", call(n=2**70), token="t", traceparent="00-1")
    result = response["result"]
    added = {"resultType", "_meta"} if modern else {"_meta"}
    assert {key: value for key, value in result.items() if key not in added} == {
        key: value for key, value in odd.items() if key != "_meta"
    }
    assert result["_meta"].keys() == {"vendor/x", *(["io.modelcontextprotocol/serverInfo"] if modern else [])}
    assert result.get("resultType") == ("complete" if modern else None)
    assert (alpha.calls[-1]["arguments"], alpha.calls[-1]["_meta"]["traceparent"]) == ({"n": 2**70}, "00-1")


@entrances
@eras
@servers
@pytest.mark.parametrize("token", ["mine", "", 7, 2**70])
async def test_progress_reaches_the_client_with_its_own_token_before_the_response(
    gateway, entrance, modern, handshake, token
):
    async def work(ctx):
        for step in (1, 2, 3):
            await ctx.session.report_progress(step, 3, f"step {step}")
        return text("done")

    alpha = Remote(tool("x"), handshake=handshake)
    alpha.answers["x"] = work
    async with (
        gateway({"alpha": alpha}) as opened,
        open_era_client(await discover_alpha(opened), entrance, modern=modern) as client,
    ):
        response = await client.request("tools/call", call(), token=token)
        assert response["result"]["content"] == text("done")["content"]
        assert [message["params"] for message in client.received] == [
            {"progressToken": token, "progress": step, "total": 3, "message": f"step {step}"} for step in (1, 2, 3)
        ]
        assert set(methods(client)) == {"notifications/progress"}
        client.received.clear()
        await client.request("tools/call", call())
        assert client.received == []
    assert alpha.calls[0]["_meta"]["progressToken"] != token
    assert "progressToken" not in alpha.calls[1].get("_meta", {})


@entrances
@eras
@servers
async def test_log_messages_reach_the_client_from_its_level_on(gateway, entrance, modern, handshake):
    async def work(ctx):
        for level in ("debug", "warning", "odd"):
            await notify(ctx, "notifications/message", {"level": level, "data": {"n": 2**70}, "vendor": None})
        return text("done")

    alpha = Remote(tool("x"), handshake=handshake)
    alpha.answers["x"] = work
    async with (
        gateway({"alpha": alpha}) as opened,
        open_era_client(await discover_alpha(opened), entrance, modern=modern) as client,
    ):
        seen = []
        for level in (None, "debug", "warning"):
            client.received.clear()
            if level and not modern:
                raw, client.raw = client.raw, False  # the SDK's server answers it
                await client.request("logging/setLevel", {"level": level})
                client.raw = raw
            assert (await client.request("tools/call", call(), level=level))["result"]
            assert all(message["params"]["data"] == {"n": 2**70} for message in client.received)
            seen.append([message["params"]["level"] for message in client.received])
    # The modern era tells nothing that was not asked for; the earlier one tells all until a level is set.
    everything = ["debug", "warning", "odd"]
    assert seen == [[] if modern else everything, everything, ["warning", "odd"]]


async def ask_all(ctx):
    """Ask a question of each kind; return the answers."""
    given = {}
    for method, (params, _) in QUESTIONS.items():
        given[method] = await request_outbound_of(ctx.session).send_raw_request(method, params)
    return {"content": [], "structuredContent": given}


def require(method):
    """Return a modern server's tool that asks a question, and returns the answer."""

    async def work(ctx):
        given = (ctx.params or {}).get("inputResponses")
        if given is None:
            asked = {"q": {"method": method, "params": QUESTIONS[method][0]}}
            return {"resultType": "input_required", "inputRequests": asked, "requestState": "state", "vendor": None}
        assert ctx.params["requestState"] == "state"
        return {"content": [], "structuredContent": given["q"]}

    return work


@entrances
@questions
async def test_a_question_of_a_handshake_server_is_put_to_a_handshake_client(gateway, entrance, method):
    asked, answered = QUESTIONS[method]

    async def work(ctx):
        given = await request_outbound_of(ctx.session).send_raw_request(method, asked)
        return {"content": [], "structuredContent": given}

    alpha = Remote(tool("x"), handshake=True)
    alpha.answers["x"] = work
    async with (
        gateway({"alpha": alpha}) as opened,
        open_era_client(
            await discover_alpha(opened), entrance, modern=False, capabilities=EVERYTHING, **{method: answered}
        ) as client,
    ):
        response = await client.request("tools/call", call(), token=1)
    assert response["result"]["structuredContent"] == answered
    assert [(message["method"], message.get("params") or {}) for message in client.received] == [(method, asked)]


@entrances
@questions
async def test_what_a_modern_server_requires_is_asked_of_a_handshake_client(gateway, entrance, method):
    asked, answered = QUESTIONS[method]
    alpha = Remote(tool("x"))
    alpha.answers["x"] = require(method)
    async with (
        gateway({"alpha": alpha}) as opened,
        open_era_client(
            await discover_alpha(opened), entrance, modern=False, capabilities=EVERYTHING, **{method: answered}
        ) as client,
    ):
        response = await client.request("tools/call", call(n=1), token=1)
    assert response["result"]["structuredContent"] == {"resultType": "complete", **answered}
    assert [(message["method"], message.get("params") or {}) for message in client.received] == [(method, asked)]
    assert [item["arguments"] for item in alpha.calls] == [{"n": 1}] * 2


@entrances
@questions
async def test_a_question_of_a_handshake_server_suspends_a_modern_clients_call(gateway, entrance, method):
    asked, answered = QUESTIONS[method]

    async def work(ctx):
        given = await request_outbound_of(ctx.session).send_raw_request(method, asked)
        await ctx.session.report_progress(1)
        return {"content": [], "structuredContent": given}

    alpha = Remote(tool("x"), handshake=True)
    alpha.answers["x"] = work
    async with (
        gateway({"alpha": alpha}) as opened,
        open_era_client(await discover_alpha(opened), entrance, modern=True, capabilities=EVERYTHING) as client,
    ):
        required = (await client.request("tools/call", call(n=1), token="first"))["result"]
        assert required["resultType"] == "input_required"
        [(key, question)] = required["inputRequests"].items()
        assert (question["method"], question["params"] or {}) == (method, asked)
        assert len(opened.gateway.bridge.suspended) == 1
        again = {"inputResponses": {key: answered}, "requestState": required["requestState"]}
        response = await client.request("tools/call", {**call(n=1), **again}, token="second")
        assert len(opened.gateway.bridge.suspended) == 0
    assert (response["result"]["resultType"], response["result"]["structuredContent"]) == ("complete", answered)
    # Progress after the answer goes to the request that brought it.
    assert [message["params"]["progressToken"] for message in client.received] == ["second"]
    assert len(alpha.calls) == 1


@entrances
@questions
async def test_what_a_modern_server_requires_goes_to_a_modern_client_as_it_is(gateway, entrance, method):
    asked, answered = QUESTIONS[method]
    alpha = Remote(tool("x"))
    alpha.answers["x"] = require(method)
    async with (
        gateway({"alpha": alpha}) as opened,
        open_era_client(await discover_alpha(opened), entrance, modern=True, capabilities=EVERYTHING) as client,
    ):
        required = (await client.request("tools/call", call()))["result"]
        assert required["inputRequests"] == {"q": {"method": method, "params": asked}}
        assert (required["requestState"], required["vendor"]) == ("state", None)
        again = {"inputResponses": {"q": answered}, "requestState": "state"}
        response = await client.request("tools/call", {**call(), **again})
    assert response["result"]["structuredContent"] == answered


@entrances
@eras
async def test_a_client_that_cannot_answer_is_not_asked(gateway, entrance, modern):
    async def work(ctx):
        with pytest.raises(MCPError) as refusal:
            await request_outbound_of(ctx.session).send_raw_request("roots/list", {})
        return text(refusal.value.error.message)

    alpha = Remote(tool("x"), handshake=True)
    alpha.answers["x"] = work
    async with (
        gateway({"alpha": alpha}) as opened,
        open_era_client(
            await discover_alpha(opened), entrance, modern=modern, capabilities={"elicitation": {}}
        ) as client,
    ):
        response = await client.request("tools/call", call())
    assert "did not declare that it can answer roots/list" in response["result"]["content"][0]["text"]
    assert client.received == []


@entrances
@servers
async def test_a_question_that_the_client_answers_with_an_error_fails(gateway, entrance, handshake):
    async def work(ctx):
        if not handshake:
            return await require("roots/list")(ctx)
        with pytest.raises(MCPError) as refusal:
            await request_outbound_of(ctx.session).send_raw_request("roots/list", {})
        return text(f"{refusal.value.error.message} ({refusal.value.error.code})")

    alpha = Remote(tool("x"), handshake=handshake)
    alpha.answers["x"] = work
    refusal = {"code": -32099, "message": "not today"}
    async with (
        gateway({"alpha": alpha}) as opened,
        open_era_client(
            await discover_alpha(opened), entrance, modern=False, capabilities=EVERYTHING, **{"roots/list": refusal}
        ) as client,
    ):
        result = (await client.request("tools/call", call()))["result"]
    assert "not today (-32099)" in json.dumps(result)
    assert result.get("isError", False) is not handshake


@entrances
@eras
async def test_a_page_to_be_visited_first_is_told_in_the_words_of_the_clients_era(gateway, entrance, modern):
    data = {"elicitations": [{"mode": "url", "url": "https://x.example", "elicitationId": "e", "message": "Go there"}]}
    alpha = Remote(tool("x"), handshake=True)
    alpha.answers["x"] = MCPError(-32042, "visit first", data)
    async with (
        gateway({"alpha": alpha}) as opened,
        open_era_client(await discover_alpha(opened), entrance, modern=modern, capabilities=EVERYTHING) as client,
    ):
        response = await client.request("tools/call", call(), token=1)
        if not modern:
            assert response["error"] == {"code": -32042, "message": "visit first", "data": data}
            return
        [(key, question)] = response["result"]["inputRequests"].items()
        assert question["params"] == {"mode": "url", "url": "https://x.example", "message": "Go there"}
        declined = {**call(), "inputResponses": {key: {"action": "decline"}}}
        refusal = (await client.request("tools/call", declined))["result"]
        assert "did not agree to what server 'alpha' asks for" in refusal["content"][0]["text"]
        alpha.answers["x"] = text("seen")
        accepted = {**call(), "inputResponses": {key: {"action": "accept"}}}
        assert (await client.request("tools/call", accepted))["result"]["content"] == text("seen")["content"]


@entrances
async def test_a_modern_client_that_visits_no_pages_hears_what_it_would_have_to_declare(gateway, entrance):
    data = {"elicitations": [{"mode": "url", "url": "https://x.example", "elicitationId": "e", "message": "Go there"}]}
    alpha = Remote(tool("x"), handshake=True)
    alpha.answers["x"] = MCPError(-32042, "visit first", data)
    async with (
        gateway({"alpha": alpha}) as opened,
        open_era_client(await discover_alpha(opened), entrance, modern=True) as client,
    ):
        error = (await client.request("tools/call", call()))["error"]
    assert (error["code"], error["data"]) == (-32021, {"requiredCapabilities": {"elicitation": {"url": {}}}})


@entrances
@eras
@servers
async def test_an_error_of_the_servers_is_an_error_with_its_code_and_data(gateway, entrance, modern, handshake):
    alpha = Remote(tool("x"), handshake=handshake)
    alpha.answers["x"] = MCPError(-31999, "no", {"why": [None], "n": 2**70})
    async with (
        gateway({"alpha": alpha}) as opened,
        open_era_client(await discover_alpha(opened), entrance, modern=modern, capabilities=EVERYTHING) as client,
    ):
        response = await client.request("tools/call", call(), token=1)
    assert response["error"] == {"code": -31999, "message": "no", "data": {"why": [None], "n": 2**70}}


@entrances
@eras
@servers
async def test_a_request_that_its_client_cancels_is_cancelled_at_the_server_and_has_no_response(
    gateway, entrance, modern, handshake
):
    began, ended = anyio.Event(), anyio.Event()

    async def work(_):
        began.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    alpha = Remote(tool("x"), handshake=handshake)
    alpha.answers["x"] = work
    async with (
        gateway({"alpha": alpha}) as opened,
        open_era_client(await discover_alpha(opened), entrance, modern=modern, capabilities=EVERYTHING) as client,
    ):
        request_id = await client.begin("tools/call", call(), token=1)
        await began.wait()
        cancelled = {"method": "notifications/cancelled", "params": {"requestId": request_id, "reason": "enough"}}
        await client.send({"jsonrpc": "2.0", **cancelled})
        with anyio.fail_after(5):
            await ended.wait()
        alpha.answers["x"] = text("next")
        assert (await client.request("tools/call", call()))["result"]["content"] == text("next")["content"]
        assert request_id not in client.answers


@entrances
@servers
async def test_a_question_is_taken_back_when_its_request_is_cancelled(gateway, entrance, handshake):
    async def work(ctx):
        if not handshake:
            return await require("roots/list")(ctx)
        return await ask_all(ctx)

    alpha = Remote(tool("x"), handshake=handshake)
    alpha.answers["x"] = work
    async with (
        gateway({"alpha": alpha}) as opened,
        open_era_client(await discover_alpha(opened), entrance, modern=False, capabilities=EVERYTHING) as client,
    ):
        request_id = await client.begin("tools/call", call())
        await until(lambda: client.received)
        question = client.received[0]["id"]
        await client.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": request_id}})
        await until(lambda: len(client.received) > 1)
    assert (client.received[1]["method"], client.received[1]["params"]["requestId"]) == (
        "notifications/cancelled",
        question,
    )


@eras
@servers
async def test_both_entrances_give_the_same_answer_byte_for_byte(gateway, modern, handshake):
    async def work(ctx):
        await ctx.session.report_progress(0.5, 1.0, "half")
        return {"z": None, "content": [{"type": "text", "text": "ü", "f": 1.0}], "n": 2**70}

    alpha = Remote(tool("x"), tool("fails"), handshake=handshake)
    alpha.answers |= {"x": work, "fails": MCPError(-31999, "no", {"why": None})}
    requests = [
        ("tools/call", call(b=1, a=None)),
        ("tools/call", {"name": "call_remote_tool", "arguments": {"tool_name": "alpha__x"}}),
        ("tools/call", {"name": "call_remote_tool", "arguments": {"tool": 1}}),
        ("tools/call", {"name": "alpha__fails"}),
        ("tools/call", {"name": "alpha__unknown"}),
        ("tools/call", {"name": "discover_tools", "arguments": {"server_name": "alpha"}}),
        ("tools/list", {}),
        ("prompts/list", {}),
        ("prompts/get", {"name": "nobody"}),
        ("resources/list", {}),
        ("resources/templates/list", {}),
        ("resources/read", {"uri": "x:y"}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "a", "value": ""}}),
        ("tasks/get", {"taskId": "t"}),
        ("vendor/thing", {"a": 1}),
    ]
    async with gateway({"alpha": alpha}) as opened:
        await discover_alpha(opened)
        await until(lambda: not opened.gateway.discovery.running)
        seen = {}
        for entrance in ("bytes", "sdk"):
            async with open_era_client(opened, entrance, modern=modern, capabilities=EVERYTHING) as client:
                responses = [await client.request(method, params, token="t") for method, params in requests]
                seen[entrance] = [json.dumps(message) for message in (*client.received, *responses)]
    assert len(seen["bytes"]) == len(requests) + 2
    for one, other in zip(seen["bytes"], seen["sdk"], strict=True):
        assert one == other
