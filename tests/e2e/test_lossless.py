"""Nothing is re-modelled: what a server sends is what the client gets, in both eras and over all transports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
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
from .support.gateways import GATEWAY, Launcher, plain_entry
from .support.raw_clients import HttpClient, StdioClient

SERVERS = ["stdio-handshake", "stdio-modern", "http-handshake", "http-modern"]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Launcher, Path]]:
    """Four servers behind one gateway: both transports, both eras."""
    with ExitStack() as stack:
        launcher = Launcher(tmp_path_factory.mktemp("lossless"), stack)
        entries = [
            plain_entry(f"stdio-{era}", None, "--era", era, "--place", f"stdio-{era}", expose_tools=True)
            for era in ("handshake", "modern")
        ]
        for era in ("handshake", "modern"):
            url, _ = launcher.start_plain_http("--era", era, "--place", f"http-{era}")
            entries.append({"name": f"http-{era}", "transport": "http", "url": url, "expose_tools": True})
        yield launcher, launcher.config(*entries)


@pytest.fixture(scope="module", params=SERVERS)
def client(request: pytest.FixtureRequest, config: tuple[Launcher, Path]) -> Any:
    """Clients of all kinds."""
    transport, era = request.param.split("-")
    launcher, path = config
    if transport == "stdio":
        return StdioClient(launcher.start([GATEWAY], launcher.environment(path)), era == "modern")
    return HttpClient(launcher.start_http(path).url, era == "modern")


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_result_with_fields_that_no_sdk_knows_arrives_whole(client: Any, server: str) -> None:
    for name, arguments in (
        (f"{server}__odd", {}),
        ("call_remote_tool", {"tool_name": f"{server}__odd", "arguments": {}}),
    ):
        result = client.call(name, arguments)["result"]
        envelope = {key: result.pop(key) for key in ("resultType",) if client.modern}
        result["_meta"].pop("io.modelcontextprotocol/serverInfo", None)
        assert json.dumps(result) == json.dumps({**ODD_RESULT, "_meta": {"vendor/x": None}})
        assert envelope in ({}, {"resultType": "complete"})


def test_a_definition_arrives_character_for_character(client: Any, server: str) -> None:
    tools = {tool["name"]: tool for tool in client.ask("tools/list", {})["result"]["tools"]}
    assert json.dumps(tools[f"{server}__odd"]) == json.dumps({**ODD_TOOL, "name": f"{server}__odd"})
    found = client.call("tool_search", {"query": "odd", "max_results": 10})["result"]["structuredContent"]
    schemas = {tool["tool_name"]: tool["input_schema"] for tool in found["tools"]}
    assert json.dumps(schemas[f"{server}__odd"]) == json.dumps(ODD_TOOL["inputSchema"])


def test_arguments_and_foreign_meta_reach_the_server_as_they_were_sent(client: Any, server: str) -> None:
    arguments = {"z": [1.0, 2**70, None], "a": {"é": True}, "text": "1.0"}
    meta = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "vendor/m": {"k": None}}
    answer = client.call(f"{server}__echo", arguments, _meta=meta)["result"]["structuredContent"]
    assert json.dumps(answer["arguments"]) == json.dumps(arguments)
    received = {key: value for key, value in answer["params"]["_meta"].items() if key in meta}
    assert received == meta


def test_an_error_of_the_server_is_passed_on(client: Any, server: str) -> None:
    for name, arguments in ((f"{server}__fail", {}), ("call_remote_tool", {"tool_name": f"{server}__fail"})):
        assert client.call(name, arguments)["error"] == {"code": -31999, "message": "custom", "data": {"why": None}}


def test_all_pages_of_a_list_are_read(client: Any, server: str) -> None:
    found = client.call("discover_tools", {"server_name": server})["result"]["structuredContent"]
    assert found["tool_count"] == 8


def test_prompts_arrive_whole(client: Any, server: str) -> None:
    prompts = {prompt["name"]: prompt for prompt in client.ask("prompts/list", {})["result"]["prompts"]}
    assert json.dumps(prompts[f"{server}__greet"]) == json.dumps({**ODD_PROMPT, "name": f"{server}__greet"})
    arguments = {"who": "é"}
    got = without_envelope(client.ask("prompts/get", {"name": f"{server}__greet", "arguments": arguments})["result"])
    assert json.dumps(got) == json.dumps({**ODD_MESSAGES, "echo": arguments})


def test_resources_arrive_whole(client: Any, server: str) -> None:
    listed = client.ask("resources/list", {})["result"]["resources"]
    assert json.dumps(odd_resource(server)) in map(json.dumps, listed)
    templates = client.ask("resources/templates/list", {})["result"]["resourceTemplates"]
    assert json.dumps(odd_template(server)) in map(json.dumps, templates)
    for uri in (f"plain://{server}/a", f"plain://{server}/items/7"):
        assert json.dumps(without_envelope(client.ask("resources/read", {"uri": uri})["result"])) == json.dumps(
            odd_contents(uri)
        )


def test_completions_are_asked_of_the_server_that_the_reference_belongs_to(client: Any, server: str) -> None:
    for reference, own in (
        ({"type": "ref/prompt", "name": f"{server}__greet"}, {"type": "ref/prompt", "name": "greet"}),
        ({"type": "ref/resource", "uri": f"plain://{server}/items/{{id}}"},) * 2,
    ):
        asked = {"ref": reference, "argument": {"name": "who", "value": "o"}}
        result = client.ask("completion/complete", asked)["result"]
        assert json.dumps(result["completion"]) == json.dumps({"values": ["one"], "total": 1, "vendorField": None})
        assert result["echo"] == own


def without_envelope(result: dict[str, Any]) -> dict[str, Any]:
    """Take off what the modern era puts on every result."""
    plain = {key: value for key, value in result.items() if key not in ("resultType", "ttlMs", "cacheScope", "_meta")}
    meta = {key: value for key, value in result.get("_meta", {}).items() if "modelcontextprotocol" not in key}
    return {**plain, **({"_meta": meta} if meta else {})}
