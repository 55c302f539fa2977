"""The entrance for bytes: what is well-formed is answered, and the SDK says what is wrong with the rest."""

from __future__ import annotations

import asyncio
import json

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from mcp_gateway.plugin import Principal
from mcp_gateway.protocol._sdk import request_outbound_of
from mcp_gateway.server.pipeline import dispatcher

from ...support.era_client import CAPABILITIES, LEVEL, open_era_client
from ...support.fake_servers import Remote, text, tool, until
from ...support.gateway import server_of
from ...support.raw_client import HEADERS, MODERN, RawClient, call, discover_alpha, dispatch, encode_request

eras = pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])

EVERYTHING = {"roots": {}, "sampling": {}, "elicitation": {"form": {}, "url": {}}}
EXPOSED = {"alpha": {"expose_tools": True}}
LISTING = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list"}

REQUESTS = [
    ("tools/list", {}),
    ("tools/list", {"cursor": "1"}),
    ("tools/call", {"name": "alpha__x"}),
    ("tools/call", {"name": "alpha__x", "arguments": {"n": 1}, "vendor": None}),
    ("tools/call", {"name": "alpha__unknown"}),
    ("tools/call", {"name": "tool_search", "arguments": {"query": "x"}}),
    ("tools/call", {"name": "call_remote_tool", "arguments": {"tool_name": "alpha__x", "auth_header": "x"}}),
    ("prompts/list", {}),
    ("prompts/get", {"name": "alpha__p", "arguments": {"a": "b"}}),
    ("resources/list", {}),
    ("resources/templates/list", {}),
    ("resources/read", {"uri": "x:y"}),
    ("completion/complete", {"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "a", "value": ""}}),
    ("tasks/get", {"taskId": "t"}),
    ("tasks/list", {}),
    ("tasks/cancel", {"taskId": "t"}),
    ("tasks/result", {"taskId": "t"}),
    ("vendor/unknown", {"a": [None]}),
]


def dispatch_raw(opened, message, headers=None, principal=None, client=None):
    """Hand a message over; return what the dispatcher returns."""
    return server_of(opened).dispatch_raw(message, headers, principal, client or RawClient())


# -- what is answered


@eras
@pytest.mark.parametrize("capabilities", [{}, EVERYTHING], ids=["able-to-nothing", "able"])
@pytest.mark.parametrize("meta", [{}, {"token": 1, "level": "debug", "vendor/x": 1}], ids=["plain", "ordinary"])
async def test_every_request_is_answered_whatever_it_asks_and_brings(gateway, modern, capabilities, meta):
    if not modern:
        meta = {name: value for name, value in meta.items() if name != "level"}
    async with (
        gateway({"alpha": Remote(tool("x"))}) as opened,
        open_era_client(await discover_alpha(opened), "bytes", modern=modern, capabilities=capabilities) as client,
    ):
        for method, params in REQUESTS:
            response = await client.request(method, params, **meta)
            assert response.keys() - {"jsonrpc", "id"} in ({"result"}, {"error"})
        assert client.answers == {}


@pytest.mark.parametrize("request_id", [7, 0, -1, "a", "", 2**70, "ü"])
async def test_the_id_goes_back_as_it_came(gateway, request_id):
    async with gateway({"alpha": Remote(tool("x"))}) as opened:
        response = await dispatch(await discover_alpha(opened), call(id=request_id))
    assert response["id"] == request_id
    assert response["result"]["content"] == text("done")["content"]


async def test_the_response_is_written_byte_for_byte_around_the_payload(gateway):
    client = RawClient()
    async with gateway({"alpha": Remote(tool("x"))}) as opened:
        message = b'{"id": "\\u0061" , "params":{"_meta":%s,"name":"alpha__x"},"method":"tools/call","jsonrpc":"2.0"}'
        dispatch_raw(await discover_alpha(opened), message % json.dumps(MODERN).encode(), client=client)
        response = await client.response()
    assert response.message.startswith(b'{"jsonrpc":"2.0","id":"\\u0061","result":{"resultType":"complete",')


@eras
async def test_an_error_is_told_with_its_code_and_by_a_status_in_the_modern_era_only(gateway, modern):
    """The SDK's 1.x client takes any HTTP 400 for the end of its session."""
    alpha, client = Remote(tool("x")), RawClient()
    alpha.answers["x"] = MCPError(-31999, "no", {"why": [None]})
    async with (
        gateway({"alpha": alpha}) as opened,
        open_era_client(await discover_alpha(opened), "bytes", modern=modern),
    ):
        dispatch_raw(opened, call(meta=MODERN if modern else None), client=client)
        response = await client.response()
    assert json.loads(response.message)["error"] == {"code": -31999, "message": "no", "data": {"why": [None]}}
    assert response.error == (-31999 if modern else None)


async def test_a_remote_call_is_the_call_of_the_tool_that_it_names(gateway):
    alpha = Remote(tool("x"))
    async with gateway({"alpha": alpha}) as opened:
        message = call("call_remote_tool", {"tool_name": "alpha__x", "arguments": {"n": 1}})
        assert (await dispatch(await discover_alpha(opened), message))["result"]["content"] == text("done")["content"]
    assert (alpha.calls[-1]["name"], alpha.calls[-1]["arguments"]) == ("x", {"n": 1})


@pytest.mark.parametrize(
    "message, said",
    [
        (call("tool_search", {"query": "x", "max_results": 1}), None),
        (call("tool_search", {"max_results": 0}), "query"),
        (call("discover_tools", {}), "server_name"),
        (call("call_remote_tool", {"tool_name": 7}), "tool_name"),
    ],
)
async def test_the_gateways_own_tools_are_called_there_too(gateway, message, said):
    async with gateway({"alpha": Remote(tool("x"))}) as opened:
        result = (await dispatch(await discover_alpha(opened), message))["result"]
    assert result.get("isError", False) is (said is not None)
    assert (said or "") in result["content"][0]["text"]


@pytest.mark.parametrize("name", ["tool_search", "call_remote_tool", "discover_tools"])
async def test_a_number_that_cannot_be_read_is_the_callers_fault_and_no_plugins(gateway, name):
    message = call(name, {"query": "NUMBER"}).replace(b'"NUMBER"', b"1" * 5000)
    async with gateway({"alpha": Remote(tool("x"))}) as opened:
        response = await dispatch(await discover_alpha(opened), message)
    assert response["error"]["code"] == -32602
    assert "the request cannot be read" in response["error"]["message"]


async def test_a_number_that_would_have_to_be_read_for_a_header_is_the_callers_fault_too(gateway):
    schema = {"type": "object", "properties": {"n": {"type": "string", "x-mcp-header": "N"}}}
    alpha = Remote({**tool("x"), "inputSchema": schema})
    message = call(arguments={"n": "a", "big": "NUMBER"}).replace(b'"NUMBER"', b"1" * 5000)
    async with gateway({"alpha": alpha}) as opened:
        response = await dispatch(await discover_alpha(opened), message)
    assert response["error"]["code"] == -32602
    assert "the request cannot be read" in response["error"]["message"]


async def test_a_number_of_any_length_passes_through(gateway):
    message = call(arguments={"n": "NUMBER"}).replace(b'"NUMBER"', b"1" * 4000)
    alpha = Remote(tool("x"))
    async with gateway({"alpha": alpha}) as opened:
        assert "result" in await dispatch(await discover_alpha(opened), message)
    assert alpha.calls[-1]["arguments"] == {"n": int("1" * 4000)}


async def test_what_is_no_utf8_is_replaced(gateway):
    message = call(arguments={"n": "x"}).replace(b'"x"', b'"caf\xe9"')
    alpha = Remote(tool("x"))
    async with gateway({"alpha": alpha}) as opened:
        assert "result" in await dispatch(await discover_alpha(opened), message)
    assert alpha.calls[-1]["arguments"] == {"n": "caf\ufffd"}


# -- what is not


def change(**changes):
    """Return a call with other members."""
    return json.dumps({**json.loads(call()), **changes}).encode()


MALFORMED = {
    "not JSON": b"nonsense",
    "an array": b"[]",
    "half of a message": call()[:-1],
    "nested too deeply": call(arguments={"a": "x"}).replace(b'"x"', b"[" * 3000 + b"]" * 3000),
    "no version of JSON-RPC": change(jsonrpc=None),
    "another version of JSON-RPC": change(jsonrpc="1.0"),
    "no method": change(method=None),
    "a method that is no text": change(method=3),
    "params that are a list": change(params=[]),
    "NaN": call(arguments={"n": float("nan")}),
    "NaN in a notification": b'{"jsonrpc":"2.0","id":null,"method":"notifications/odd","params":{"n":NaN}}',
    "a long text that has no end": b'{"id":NaN,"a":"' + b'\\"' * (1 << 20),
    "no name": encode_request("tools/call", {"_meta": MODERN}),
    "a name that is no text": call(name=3),
    "arguments that are a list": call(arguments=[1]),
    "a list's cursor that is a number": encode_request("tools/list", {"_meta": MODERN, "cursor": 3}),
    "a prompt without a name": encode_request("prompts/get", {"_meta": MODERN}),
    "a resource without a URI": encode_request("resources/read", {"_meta": MODERN}),
    "a URI that is no text": encode_request("resources/read", {"_meta": MODERN, "uri": []}),
    "a completion of nothing": encode_request("completion/complete", {"_meta": MODERN, "argument": {}}),
    "meta that is a list": call(meta=[]),
    "an unknown version": call(meta={**MODERN, "io.modelcontextprotocol/protocolVersion": "2027-01-01"}),
    "a version that is a number": call(meta={**MODERN, "io.modelcontextprotocol/protocolVersion": 7}),
    "capabilities that are a number": call(meta={**MODERN, CAPABILITIES: 3}),
    "no capabilities": call(meta={name: value for name, value in MODERN.items() if name != CAPABILITIES}),
    "a client of an odd name": call(meta={**MODERN, "io.modelcontextprotocol/clientInfo": {"name": 3}}),
    "an unknown client": call(meta=None),
    "a handshake": encode_request("initialize", {}),
    "a discovery": encode_request("server/discover", {"_meta": MODERN}),
    "a log level": encode_request("logging/setLevel", {"level": "debug"}),
    "a ping": encode_request("ping", {"_meta": MODERN}),
    "a subscription": encode_request("subscriptions/listen", {"_meta": MODERN}),
    "an unknown notification": b'{"jsonrpc":"2.0","method":"notifications/odd"}',
    "a cancellation of nothing": b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}',
    "a cancellation without an id": b'{"jsonrpc":"2.0","method":"notifications/cancelled"}',
    "a response to nothing": b'{"jsonrpc":"2.0","id":"gateway-1","result":{}}',
}


@pytest.mark.parametrize("message", MALFORMED.values(), ids=MALFORMED)
async def test_what_is_not_for_the_pipeline_goes_to_the_sdks_server(gateway, message):
    client, alpha = RawClient(), Remote(tool("x"))
    async with gateway({"alpha": alpha}) as opened:
        assert dispatch_raw(await discover_alpha(opened), message, client=client) is None
        await anyio.lowlevel.checkpoint()
    assert (client.written, client.has_response, alpha.calls) == ([], False, [])


@pytest.mark.parametrize(
    "method, params, code",
    [
        ("tools/call", {}, -32602),
        ("tools/call", {"name": 3}, -32602),
        ("tools/call", {"name": "alpha__x", "arguments": [1]}, -32602),
        ("tools/list", {"cursor": 3}, -32602),
        ("prompts/get", {}, -32602),
        ("resources/read", {"uri": []}, -32602),
        ("completion/complete", {"argument": {}}, -32602),
    ],
)
@eras
async def test_the_sdks_server_says_what_is_wrong(gateway, modern, method, params, code):
    alpha = Remote(tool("x"))
    async with (
        gateway({"alpha": alpha}) as opened,
        open_era_client(await discover_alpha(opened), "sdk", modern=modern) as client,
    ):
        message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        assert dispatch_raw(opened, message) is None
        assert (await client.request(method, params))["error"]["code"] == code
    assert alpha.calls == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"mcp-name": "alpha__y"},
        {"mcp-name": ""},
        {"mcp-method": "tools/list"},
        {"mcp-protocol-version": "2025-11-25"},
        {"mcp-param-n": "1"},
        {"mcp-name": "=?base64?YWxwaGFfX3g=?="},
    ],
)
async def test_headers_must_say_what_the_message_says(gateway, wrong):
    async with gateway({"alpha": Remote(tool("x"))}) as opened:
        assert dispatch_raw(await discover_alpha(opened), call(), {**HEADERS, **wrong}) is None
        for name in wrong.keys() & HEADERS.keys():
            assert dispatch_raw(opened, call(), {key: value for key, value in HEADERS.items() if key != name}) is None
        assert (await dispatch(opened, call(), HEADERS))["result"]["resultType"] == "complete"


async def test_arguments_that_must_be_repeated_in_headers_are_checked_by_the_sdks_server(gateway):
    """Also when no such header is there: it may be missing."""
    schema = {"type": "object", "properties": {"n": {"type": "string", "x-mcp-header": "N"}}}
    async with gateway({"alpha": Remote({**tool("x"), "inputSchema": schema}, tool("y"))}) as opened:
        await discover_alpha(opened)
        assert dispatch_raw(opened, call(arguments={"n": "1"}), HEADERS) is None
        assert (await dispatch(opened, call(arguments={"n": "1"})))["id"] == 7, "without HTTP there are no headers"
        other = call("alpha__y", {"n": "1"})
        assert (await dispatch(opened, other, {**HEADERS, "mcp-name": "alpha__y"}))["id"] == 7


@pytest.mark.parametrize(
    "method, params, name",
    [
        ("tools/list", {}, None),
        ("prompts/get", {"name": "p"}, "p"),
        ("resources/read", {"uri": "x:y"}, "x:y"),
        ("tasks/get", {"taskId": "t"}, "t"),
        ("vendor/thing", {"name": "n"}, None),
    ],
)
async def test_each_method_names_its_own_thing_in_the_headers(gateway, method, params, name):
    message = encode_request(method, {**params, "_meta": MODERN})
    headers = {"mcp-protocol-version": "2026-07-28", "mcp-method": method, **({"mcp-name": name} if name else {})}
    async with gateway({"alpha": Remote(tool("x"))}) as opened:
        assert (await dispatch(await discover_alpha(opened), message, headers))["id"] == 7
        assert dispatch_raw(opened, message, {**headers, "mcp-name": "other"}) is None


async def test_a_session_is_its_openers(gateway):
    async with (
        gateway({"alpha": Remote(tool("x"))}) as opened,
        open_era_client(await discover_alpha(opened), "bytes", modern=False),
    ):
        plain = call(meta=None)
        assert dispatch_raw(opened, plain, None, Principal("https://login.example", "mallory")) is None
        assert dispatch_raw(opened, plain, {"mcp-session-id": "guessed"}) is None
        assert "result" in await dispatch(opened, plain)


@eras
async def test_a_request_whose_answer_cannot_be_written_is_answered_all_the_same(gateway, modern, monkeypatch):
    def fail(*_):
        raise ValueError("no form for it")

    client = RawClient()
    async with (
        gateway({"alpha": Remote(tool("x"))}) as opened,
        open_era_client(await discover_alpha(opened), "bytes", modern=modern),
    ):
        monkeypatch.setattr(dispatcher, "encode_result", fail)
        assert dispatch_raw(opened, call(meta=MODERN if modern else None), client=client) is not None
        response = await client.response()
    error = json.loads(response.message)["error"]
    assert error == {"code": -32603, "message": "the gateway failed inside; its log says why"}
    assert response.error == (-32603 if modern else None)


# -- cancellation, responses, and clients that leave


def cancellation(request_id):
    params = {"requestId": request_id}
    return json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}).encode()


class Working:
    """A tool that works until it is cancelled."""

    def __init__(self):
        self.began, self.ended = anyio.Event(), anyio.Event()

    async def __call__(self, _):
        self.began.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.ended.set()


@eras
@pytest.mark.parametrize("meta", [{}, {"progressToken": 1, LEVEL: "debug", CAPABILITIES: EVERYTHING}])
async def test_a_cancelled_request_has_an_empty_response_and_its_cancellation_is_accepted(gateway, modern, meta):
    alpha, client, canceller = Remote(tool("x")), RawClient(), RawClient()
    alpha.answers["x"] = work = Working()
    async with (
        gateway({"alpha": alpha}) as opened,
        open_era_client(await discover_alpha(opened), "bytes", modern=modern),
    ):
        assert dispatch_raw(opened, call(meta={**MODERN, **meta} if modern else None), client=client) is not None
        with anyio.fail_after(5):
            await work.began.wait()
            assert dispatch_raw(opened, cancellation(8)) is None
            assert dispatch_raw(opened, cancellation(7), client=canceller) is not None
            assert not canceller.has_response
            await work.ended.wait()
        response, accepted = await client.response(), await canceller.response()
        assert dispatch_raw(opened, cancellation(7)) is None
    assert (response.message, response.accepted) == (b"", False)
    assert (accepted.message, accepted.accepted) == (b"", True)


@pytest.mark.parametrize("named", [True, False, None, [1], {"a": 1}, 1.5])
async def test_a_cancellation_of_what_is_no_id_cancels_nothing(gateway, named):
    alpha, client, canceller = Remote(tool("x")), RawClient(), RawClient()
    alpha.answers["x"] = work = Working()
    async with gateway({"alpha": alpha}) as opened:
        await discover_alpha(opened)
        message = encode_request("tools/call", {"name": "alpha__x", "_meta": MODERN}, 1)
        assert dispatch_raw(opened, message, client=client) is not None
        with anyio.fail_after(5):
            await work.began.wait()
            assert dispatch_raw(opened, cancellation(named)) is None
            assert not client.has_response
            assert dispatch_raw(opened, cancellation(1), client=canceller) is not None
            await work.ended.wait()


@eras
@pytest.mark.parametrize(
    "request_id, told",
    [
        *((odd, "null") for odd in ("null", "true", "[1]", "{}", "9" * 5000, "NaN", "Infinity", "-Infinity")),
        *((number, number) for number in ("7.0", "1e999")),
    ],
    ids=lambda text: text[:5],
)
async def test_a_request_whose_id_is_none_is_refused_and_not_taken_for_a_notification(
    gateway, modern, request_id, told
):
    async with gateway({"alpha": Remote(tool("x"))}) as opened:
        for method in ("tools/call", "ping"):
            meta = json.dumps({"_meta": MODERN} if modern else {})
            client = RawClient()
            message = f'{{"jsonrpc":"2.0","id":{request_id},"method":"{method}","params":{meta}}}'
            assert dispatch_raw(opened, message.encode(), client=client) is not None
            response = await client.response()
            assert json.loads(response.message)["error"]["code"] == -32600
            assert response.message.startswith(f'{{"jsonrpc":"2.0","id":{told},'.encode())
            assert response.error == (-32600 if modern else None)


@eras
@pytest.mark.parametrize("request_id, told", [("null", "null"), ("NaN", "null"), ("1.5", "1.5")])
@pytest.mark.parametrize("params", ["null", "[1]", '{"a":NaN}', '{"_meta":[]}', '{"a":-Infinity,"b":"\\"NaN"}'])
async def test_it_is_refused_whatever_is_wrong_with_it_besides(gateway, modern, params, request_id, told):
    client = RawClient()
    async with (
        gateway({"alpha": Remote(tool("x"))}) as opened,
        open_era_client(await discover_alpha(opened), "bytes", modern=modern),
    ):
        message = f'{{"jsonrpc":"2.0","id":{request_id},"method":"ping","params":{params}}}'
        assert dispatch_raw(opened, message.encode(), client=client) is not None
        response = json.loads((await client.response()).message)
    assert (json.dumps(response["id"]), response["error"]["code"]) == (told, -32600)


async def test_a_notification_may_have_an_id_of_null(gateway):
    alpha, client = Remote(tool("x")), RawClient()
    alpha.answers["x"] = work = Working()
    async with gateway({"alpha": alpha}) as opened:
        await discover_alpha(opened)
        assert dispatch_raw(opened, call(meta=MODERN), client=client) is not None
        with anyio.fail_after(5):
            await work.began.wait()
            message = cancellation(7).replace(b'"method"', b'"id":null,"method"')
            assert dispatch_raw(opened, message) is not None
            await work.ended.wait()


async def test_a_cancellation_right_after_the_response_comes_too_late(gateway):
    given = []

    class LateClient(RawClient):
        def finish(self, response):
            super().finish(response)
            loop = asyncio.get_running_loop()
            loop.call_soon(lambda: given.append(dispatch_raw(opened, cancellation(7))))

    client = LateClient()
    async with gateway({"alpha": Remote(tool("x"))}) as opened:
        dispatch_raw(await discover_alpha(opened), call(), client=client)
        assert (await client.answer())["result"]["content"] == text("done")["content"]
        await until(lambda: given)
    assert given == [None]


async def test_over_http_a_modern_request_is_not_cancelled_by_whoever_names_it(gateway):
    alpha, client = Remote(tool("x")), RawClient()
    alpha.answers["x"] = work = Working()
    async with gateway({"alpha": alpha}) as opened:
        abandon = dispatch_raw(await discover_alpha(opened), call(), HEADERS, client=client)
        with anyio.fail_after(5):
            await work.began.wait()
            assert dispatch_raw(opened, cancellation(7), {"mcp-protocol-version": "2026-07-28"}) is None
            assert dispatch_raw(opened, cancellation(7)) is None
            abandon()
            await work.ended.wait()
        assert not client.has_response


@eras
async def test_what_is_abandoned_is_cancelled_at_the_server_and_has_no_response(gateway, modern):
    alpha, client = Remote(tool("x"), handshake=not modern), RawClient()
    alpha.answers["x"] = work = Working()
    async with (
        gateway({"alpha": alpha}) as opened,
        open_era_client(await discover_alpha(opened), "bytes", modern=modern, capabilities=EVERYTHING),
    ):
        abandon = dispatch_raw(opened, call(meta=MODERN if modern else None), client=client)
        with anyio.fail_after(5):
            await work.began.wait()
            abandon()
            await work.ended.wait()
        await until(lambda: not server_of(opened)._dispatcher._in_flight)
        assert not client.has_response


async def ask_roots(ctx):
    given = await request_outbound_of(ctx.session).send_raw_request("roots/list", {})
    return {"content": [], "structuredContent": given}


async def test_a_response_is_taken_once_from_its_client_and_from_nobody_else(gateway):
    alpha, client, answerer = Remote(tool("x"), handshake=True), RawClient(), RawClient()
    alpha.answers["x"] = ask_roots
    async with (
        gateway({"alpha": alpha}) as opened,
        open_era_client(await discover_alpha(opened), "bytes", modern=False, capabilities=EVERYTHING),
    ):
        assert dispatch_raw(opened, call(meta=None), client=client) is not None
        await until(lambda: client.written)
        [question] = client.messages
        reply = json.dumps({"jsonrpc": "2.0", "id": question["id"], "result": {"roots": []}}).encode()
        assert dispatch_raw(opened, reply, None, Principal("https://login.example", "mallory")) is None
        assert dispatch_raw(opened, reply, {"mcp-session-id": "other"}) is None
        for foreign in (1, question["id"] + "0", None, [question["id"]]):
            assert dispatch_raw(opened, json.dumps({"jsonrpc": "2.0", "id": foreign, "result": {}}).encode()) is None
        assert not client.has_response
        assert dispatch_raw(opened, reply, client=answerer) is not None
        assert (await client.answer())["result"]["structuredContent"] == {"roots": []}
        assert dispatch_raw(opened, reply) is None
    assert (await answerer.response()).accepted


@pytest.mark.parametrize(
    "response, said",
    [
        ({"error": {"code": -1, "message": "no"}}, "no"),
        ({"error": "only text"}, "only text"),
        ({"error": {"code": "E7", "message": "odd"}, "result": None}, "odd"),
        ({"error": {"code": 0, "message": "odd"}, "result": {}}, "odd"),
    ],
)
async def test_an_error_of_a_client_keeps_its_words(gateway, response, said):
    async def work(ctx):
        with pytest.raises(MCPError) as refusal:
            await ask_roots(ctx)
        return text(refusal.value.error.message)

    alpha, client = Remote(tool("x"), handshake=True), RawClient()
    alpha.answers["x"] = work
    async with (
        gateway({"alpha": alpha}) as opened,
        open_era_client(await discover_alpha(opened), "bytes", modern=False, capabilities=EVERYTHING),
    ):
        dispatch_raw(opened, call(meta=None), client=client)
        await until(lambda: client.written)
        reply = {"jsonrpc": "2.0", "id": client.messages[0]["id"], **response}
        assert dispatch_raw(opened, json.dumps(reply).encode()) is not None
        assert said in (await client.answer())["result"]["content"][0]["text"]


async def test_a_question_that_its_server_does_not_wait_for_is_taken_back_before_the_response(gateway):
    async def work(ctx):
        with anyio.move_on_after(0.01):
            await ask_roots(ctx)
        return text("went on")

    alpha, client = Remote(tool("x"), handshake=True), RawClient()
    alpha.answers["x"] = work
    async with (
        gateway({"alpha": alpha}) as opened,
        open_era_client(await discover_alpha(opened), "bytes", modern=False, capabilities=EVERYTHING),
    ):
        dispatch_raw(opened, call(meta=None), client=client)
        assert (await client.answer())["result"]["content"] == text("went on")["content"]
        question, cancelled = client.messages
        assert (cancelled["method"], cancelled["params"]["requestId"]) == ("notifications/cancelled", question["id"])
        assert server_of(opened)._dispatcher.requests._open == {}


async def test_a_client_that_leaves_takes_its_requests_and_questions_along(gateway):
    ended = anyio.Event()

    async def work(ctx):
        try:
            return await ask_roots(ctx)
        finally:
            ended.set()

    alpha, client = Remote(tool("x"), handshake=True), RawClient()
    alpha.answers["x"] = work
    async with gateway({"alpha": alpha}) as opened:
        await discover_alpha(opened)
        async with open_era_client(opened, "bytes", modern=False, capabilities=EVERYTHING):
            dispatch_raw(opened, call(meta=None), client=client)
            await until(lambda: client.written)
        with anyio.fail_after(5):
            await ended.wait()
        dispatcher = server_of(opened)._dispatcher
        await until(lambda: not dispatcher._in_flight and not dispatcher.requests._open)
        assert dispatch_raw(opened, call(meta=None)) is None


async def test_requests_that_share_an_id_end_with_their_client_too(gateway):
    alpha, clients = Remote(tool("x"), handshake=True), [RawClient(), RawClient()]
    works = [Working(), Working()]
    left = iter(works)

    async def work_in_turn(ctx):
        await next(left)(ctx)

    alpha.answers["x"] = work_in_turn
    with anyio.fail_after(10):
        async with gateway({"alpha": alpha}) as opened:
            await discover_alpha(opened)
            async with open_era_client(opened, "bytes", modern=False):
                for client, work in zip(clients, works, strict=True):
                    dispatch_raw(opened, call(meta=None), client=client)
                    await work.began.wait()
            assert [(await client.response()).message for client in clients] == [b"", b""]
            assert not server_of(opened)._dispatcher._calls
            for work in works:
                await work.ended.wait()


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


# -- lists


def list_message(meta=MODERN, **params):
    params |= {"_meta": meta} if meta is not None else {}
    return encode_request("tools/list", params)


@eras
async def test_a_list_is_the_same_through_both_entrances(gateway, modern):
    alpha, listed = Remote(tool("x", title=None, vendor={"n": 2**70}), tool("y")), []
    async with gateway({"alpha": alpha}, **EXPOSED) as opened:
        await discover_alpha(opened)
        await until(lambda: not opened.gateway.discovery.running)
        for entrance in ("bytes", "sdk"):
            async with open_era_client(opened, entrance, modern=modern) as client:
                result = (await client.request("tools/list"))["result"]
                result.pop("ttlMs", None)  # it grows less meanwhile
                listed.append(json.dumps(result))
    assert listed[0] == listed[1]
    assert json.loads(listed[0])["tools"][-1]["name"] == "alpha__y"


async def test_a_list_follows_the_catalog_and_is_encoded_once(gateway):
    alpha = Remote(tool("x"))
    async with gateway({"alpha": alpha}, **EXPOSED) as opened:
        await discover_alpha(opened)
        await until(lambda: not opened.gateway.discovery.running)
        assert "alpha__y" not in str(await dispatch(opened, list_message(), LISTING))
        kept = dict(opened.gateway.compiler.current()._encoded)
        await dispatch(opened, list_message(), LISTING)
        again = opened.gateway.compiler.current()._encoded
        assert kept
        assert all(again[key] is value for key, value in kept.items())
        alpha.tools.append(tool("y"))
        await discover_alpha(opened)
        assert "alpha__y" in str(await dispatch(opened, list_message(), LISTING))


@pytest.mark.parametrize(
    "message, headers",
    [
        (list_message(), {**LISTING, "mcp-method": "tools/call"}),
        (list_message(), {**LISTING, "mcp-name": "x"}),
        (list_message(None), {}),
    ],
)
async def test_a_request_for_a_list_must_match_its_headers_too(gateway, message, headers):
    async with gateway({"alpha": Remote(tool("x"))}, **EXPOSED) as opened:
        assert dispatch_raw(await discover_alpha(opened), message, headers) is None
