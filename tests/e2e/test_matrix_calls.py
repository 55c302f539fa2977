"""Both eras on both sides: calls and what belongs to them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .servers.plain_offers import (
    ODD_MESSAGES,
    ODD_PROMPT,
    ODD_RESULT,
    ODD_TOOL,
    odd_contents,
    odd_resource,
    odd_template,
)
from .support.gateways import until
from .support.matrix import (
    BACKWARD,
    EQUAL,
    EVERYTHING,
    FORWARD,
    NEW_CLIENT,
    OLD_CLIENT,
    ClientFactory,
    MatrixGateway,
    Pair,
    cell,
    fresh_name,
    open_clients,
    shared_matrix_gateway,
    without_envelope,
)

PROGRESS = {"message": "step", "vendor": {"z": [None, 2**70], "a": 1.0}}


@pytest.fixture(scope="module")
def gateway(request: pytest.FixtureRequest) -> MatrixGateway:
    return shared_matrix_gateway(request)


@pytest.fixture
def make_client(gateway: MatrixGateway) -> Iterator[ClientFactory]:
    with open_clients(gateway.url) as make_client:
        yield make_client


def same(one: Any, other: Any) -> bool:
    return json.dumps(one) == json.dumps(other)


@cell("tools")
def test_a_tool_and_its_result_pass_whole(make_client: ClientFactory, pair: Pair) -> None:
    client = make_client(pair)
    tools = {tool["name"]: tool for tool in client.ask("tools/list", {})["result"]["tools"]}
    assert same(tools[f"{pair.name}__odd"], {**ODD_TOOL, "name": f"{pair.name}__odd"})
    result = client.call(f"{pair.name}__odd", {})["result"]
    assert same(without_envelope(result), ODD_RESULT)
    assert result.get("resultType") == ("complete" if pair.modern else None)


@cell("prompts")
def test_a_prompt_passes_whole(make_client: ClientFactory, pair: Pair) -> None:
    client, name = make_client(pair), f"{pair.name}__greet"
    prompts = {prompt["name"]: prompt for prompt in client.ask("prompts/list", {})["result"]["prompts"]}
    assert same(prompts[name], {**ODD_PROMPT, "name": name})
    got = client.ask("prompts/get", {"name": name, "arguments": {"who": "é"}})["result"]
    assert same(without_envelope(got), {**ODD_MESSAGES, "echo": {"who": "é"}})


@cell("resources")
def test_a_resource_passes_whole(make_client: ClientFactory, pair: Pair) -> None:
    client, uri = make_client(pair), f"plain://{pair.name}/a"
    assert json.dumps(odd_resource(pair.name)) in map(
        json.dumps, client.ask("resources/list", {})["result"]["resources"]
    )
    assert same(without_envelope(client.ask("resources/read", {"uri": uri})["result"]), odd_contents(uri))


@cell("resource templates")
def test_a_template_passes_whole_and_leads_to_its_server(make_client: ClientFactory, pair: Pair) -> None:
    client, uri = make_client(pair), f"plain://{pair.name}/items/7"
    listed = client.ask("resources/templates/list", {})["result"]["resourceTemplates"]
    assert json.dumps(odd_template(pair.name)) in map(json.dumps, listed)
    assert same(without_envelope(client.ask("resources/read", {"uri": uri})["result"]), odd_contents(uri))


@cell("completions")
def test_a_completion_is_asked_of_the_server_that_the_reference_belongs_to(
    make_client: ClientFactory, pair: Pair
) -> None:
    reference = {"type": "ref/prompt", "name": f"{pair.name}__greet"}
    asked = {"ref": reference, "argument": {"name": "who", "value": "o"}}
    result = make_client(pair).ask("completion/complete", asked)["result"]
    assert same(result["completion"], {"values": ["one"], "total": 1, "vendorField": None})
    assert result["echo"] == {"type": "ref/prompt", "name": "greet"}


@cell("pages of a server's list")
def test_all_pages_of_a_server_are_one_page_here(
    make_client: ClientFactory, gateway: MatrixGateway, pair: Pair
) -> None:
    listed = make_client(pair).ask("tools/list", {})["result"]
    assert "nextCursor" not in listed
    assert len([tool for tool in listed["tools"] if tool["name"].startswith(f"{pair.name}__")]) == 14
    cursors = [params.get("cursor") for params in gateway.logged(pair, "tools/list")]
    assert cursors[:3] == [None, "5", "10"]


@cell("progress")
def test_progress_passes_whole_under_the_client_s_own_token(
    make_client: ClientFactory, gateway: MatrixGateway, pair: Pair
) -> None:
    client, name = make_client(pair), fresh_name(pair, "progress")
    arguments = {"steps": 3, "seconds": 0.05, "extra": PROGRESS, "name": name}
    answer = client.call(f"{pair.name}__slow", arguments, _meta={"progressToken": "mine"})
    assert answer["result"]["content"] == [{"type": "text", "text": "slow done"}]
    expected = [{"progressToken": "mine", "progress": step, "total": 3, **PROGRESS} for step in (1, 2, 3)]
    assert client.notifications("notifications/progress") == expected
    (received,) = [call for call in gateway.logged(pair, "tools/call") if call["arguments"].get("name") == name]
    assert received["_meta"]["progressToken"] != "mine"


@cell("cancellation")
def test_a_cancelled_call_ends_at_the_server_and_no_other_does(
    make_client: ClientFactory, gateway: MatrixGateway, pair: Pair
) -> None:
    client, name, other_name = make_client(pair), fresh_name(pair, "cancelled"), fresh_name(pair, "other")
    slow = {"name": f"{pair.name}__slow", "arguments": {"seconds": 50, "name": name}}
    cancelled = client.begin("tools/call", slow)
    other = client.begin("tools/call", {**slow, "arguments": {"steps": 8, "seconds": 0.1, "name": other_name}})

    def received() -> set[str]:
        return {call["arguments"].get("name") for call in gateway.logged(pair, "tools/call")}

    until(lambda: {name, other_name} <= received(), "both calls are under way")
    client.cancel(cancelled)
    until(lambda: name in gateway.logged(pair, "stopped"), "the server hears that the call is cancelled")
    assert client.finish(other)["result"]["content"] == [{"type": "text", "text": "slow done"}]
    assert other_name not in gateway.logged(pair, "stopped")
    assert client.call(f"{pair.name}__echo", {"n": 1})["result"]["structuredContent"]["arguments"] == {"n": 1}


@cell("a client that goes away")
def test_the_calls_of_a_client_that_goes_away_are_cancelled(
    make_client: ClientFactory, gateway: MatrixGateway, pair: Pair
) -> None:
    client, name = make_client(pair), fresh_name(pair, "left")
    client.begin("tools/call", {"name": f"{pair.name}__slow", "arguments": {"seconds": 50, "name": name}})
    until(
        lambda: name in [call["arguments"].get("name") for call in gateway.logged(pair, "tools/call")],
        "the call is under way",
    )
    client.close()
    until(lambda: name in gateway.logged(pair, "stopped"), "the server hears that the client has left")


@cell("resource not found", pairs=OLD_CLIENT)
def test_an_old_client_gets_the_server_s_own_error(make_client: ClientFactory, pair: Pair) -> None:
    uri = f"plain://{pair.name}/none"
    error = make_client(pair).ask("resources/read", {"uri": uri})["error"]
    code = -32002 if pair.server == "handshake" else -32602
    assert error == {"code": code, "message": "Resource not found", "data": {"uri": uri, "null": None}}


@cell("resource not found", pairs=NEW_CLIENT)
def test_a_new_client_gets_the_code_of_its_era(make_client: ClientFactory, pair: Pair) -> None:
    uri = f"plain://{pair.name}/none"
    error = make_client(pair).ask("resources/read", {"uri": uri})["error"]
    assert error == {"code": -32602, "message": "Resource not found", "data": {"uri": uri, "null": None}}


@cell("the client's capabilities")
def test_a_server_is_told_what_the_client_can_do_and_no_more(
    make_client: ClientFactory, gateway: MatrixGateway, pair: Pair
) -> None:
    vendor = {"com.example/z": {"k": None, "one": 1.0}}
    for declared in ({}, {"elicitation": {}, "extensions": vendor}, {"roots": {"listChanged": True}}):
        name = fresh_name(pair, declared)
        make_client(pair, declared).call(f"{pair.name}__echo", {"name": name})
        (received,) = [call for call in gateway.logged(pair, "tools/call") if call["arguments"].get("name") == name]
        if pair.server == "modern":
            assert same(received["_meta"]["io.modelcontextprotocol/clientCapabilities"], declared)
        else:
            told = [hello["capabilities"] for hello in gateway.logged(pair, "initialize")]
            assert json.dumps(declared) in map(json.dumps, told)
            assert not any("sampling" in capabilities for capabilities in told if capabilities != EVERYTHING)


@cell("a capability that the client lacks", pairs=[*EQUAL, *BACKWARD])
def test_a_server_that_misses_a_capability_says_so(make_client: ClientFactory, pair: Pair) -> None:
    error = make_client(pair).call(f"{pair.name}__ask", {"rounds": [[["roots/list", {}]]]})["error"]
    expected = {"requiredCapabilities": {"roots": {}}}
    assert (error["code"], error["data"]) == (-32021 if pair.server == "modern" else -32600, expected)


@cell("a capability that the client lacks", pairs=FORWARD)
def test_the_code_for_a_missing_capability_becomes_one_that_old_clients_know(
    make_client: ClientFactory, pair: Pair
) -> None:
    error = make_client(pair).call(f"{pair.name}__ask", {"rounds": [[["roots/list", {}]]]})["error"]
    assert (error["code"], error["data"]) == (-32600, {"requiredCapabilities": {"roots": {}}})
