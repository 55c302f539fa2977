"""Two gateways in a row lose nothing: what a server sends is what the client gets, and the other way round."""

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
from .support.gateways import GATEWAY, Json, Launcher, plain_entry, read_log, until
from .support.raw_clients import HttpClient, StdioClient

ERAS = ("handshake", "modern")
SERVERS = [f"{hop}-{era}" for hop in ("child", "service") for era in ERAS]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Launcher, Path, Path]]:
    """A gateway before two others, one a child and one a service, with a server of each era behind both of them."""
    with ExitStack() as stack:
        outer, *inner = [Launcher(tmp_path_factory.mktemp(name), stack) for name in ("outer", "child", "service")]
        log = outer.folder / "servers.log"
        configs = [
            launcher.config(
                *(
                    plain_entry(f"{hop}-{era}", log, "--era", era, "--place", f"{hop}-{era}", expose_tools=True)
                    for era in ERAS
                )
            )
            for hop, launcher in zip(("child", "service"), inner, strict=True)
        ]
        exposed = {"expose_tools": True}
        config = outer.config(
            {"name": "child", "command": GATEWAY, "env": {"SERVER_CONFIG_PATH": str(configs[0])}, **exposed},
            {"name": "service", "url": inner[1].start_http(configs[1]).url, **exposed},
        )
        yield outer, config, log


@pytest.fixture(scope="module", params=[f"{over}-{era}" for over in ("stdio", "http") for era in ERAS])
def client(request: pytest.FixtureRequest, place: tuple[Launcher, Path, Path]) -> Any:
    launcher, config, _ = place
    over, _, era = request.param.partition("-")
    if over == "stdio":
        found: Any = StdioClient(launcher.start([GATEWAY], launcher.environment(config)), era == "modern")
    else:
        found = HttpClient(launcher.start_http(config).url, era == "modern")
    until(lambda: {named(server, "odd") for server in SERVERS} <= set(definitions(found)), "all servers are there")
    return found


def named(server: str, name: str) -> str:
    """Return what a tool or prompt of a server is called before both gateways."""
    return f"{server.partition('-')[0]}__{server}__{name}"


def definitions(client: Any) -> dict[str, Json]:
    return {tool["name"]: tool for tool in client.ask("tools/list", {})["result"]["tools"]}


def bare(result: Json) -> Json:
    """Take off what the modern era puts on every result."""
    kept = {key: value for key, value in result.items() if key not in ("resultType", "ttlMs", "cacheScope", "_meta")}
    meta = {key: value for key, value in result.get("_meta", {}).items() if "modelcontextprotocol" not in key}
    return {**kept, **({"_meta": meta} if meta else {})}


@pytest.mark.parametrize("server", SERVERS)
def test_a_tool_passes_two_gateways_whole(client: Any, server: str, place: tuple[Launcher, Path, Path]) -> None:
    name = named(server, "odd")
    assert json.dumps(definitions(client)[name]) == json.dumps({**ODD_TOOL, "name": name})
    assert json.dumps(bare(client.call(name, {})["result"])) == json.dumps(ODD_RESULT)
    error = client.call(named(server, "fail"), {})["error"]
    assert error == {"code": -31999, "message": "custom", "data": {"why": None}}
    arguments = {"z": [1.0, 2**70, None], "a": {"é": True}, "text": "1.0"}
    meta = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "vendor/m": {"k": None}}
    answer = client.call(named(server, "echo"), arguments, _meta=meta)["result"]["structuredContent"]
    assert json.dumps(answer["arguments"]) == json.dumps(arguments)
    assert {key: value for key, value in answer["params"]["_meta"].items() if key in meta} == meta


@pytest.mark.parametrize("server", SERVERS)
def test_a_prompt_and_a_resource_pass_two_gateways_whole(client: Any, server: str) -> None:
    name, arguments = named(server, "greet"), {"who": "é"}
    prompts = {prompt["name"]: prompt for prompt in client.ask("prompts/list", {})["result"]["prompts"]}
    assert json.dumps(prompts[name]) == json.dumps({**ODD_PROMPT, "name": name})
    got = client.ask("prompts/get", {"name": name, "arguments": arguments})["result"]
    assert json.dumps(bare(got)) == json.dumps({**ODD_MESSAGES, "echo": arguments})
    listed = client.ask("resources/list", {})["result"]["resources"]
    assert json.dumps(odd_resource(server)) in map(json.dumps, listed)
    templates = client.ask("resources/templates/list", {})["result"]["resourceTemplates"]
    assert json.dumps(odd_template(server)) in map(json.dumps, templates)
    for uri in (f"plain://{server}/a", f"plain://{server}/items/7"):
        read = client.ask("resources/read", {"uri": uri})["result"]
        assert json.dumps(bare(read)) == json.dumps(odd_contents(uri))


@pytest.mark.parametrize("server", SERVERS)
def test_a_completion_passes_two_gateways_whole(client: Any, server: str) -> None:
    asked = {"ref": {"type": "ref/prompt", "name": named(server, "greet")}, "argument": {"name": "who", "value": "o"}}
    result = client.ask("completion/complete", asked)["result"]
    assert json.dumps(result["completion"]) == json.dumps({"values": ["one"], "total": 1, "vendorField": None})
    assert result["echo"] == {"type": "ref/prompt", "name": "greet"}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("client_era", ERAS)
def test_two_transparent_gateways_look_like_the_server(launcher: Launcher, era: str, client_era: str) -> None:
    through = {"namespace": None, "expose_tools": True}
    direct, _ = launcher.start_plain_http("--era", era, "--full")
    first = launcher.start_http(launcher.config({"name": "plain", "url": direct, **through}))
    second = launcher.start_http(launcher.config({"name": "gateway", "url": first.url, **through}))
    far, near = HttpClient(second.url, client_era == "modern"), HttpClient(direct, era == "modern")
    for method, kind in (("tools/list", "tools"), ("prompts/list", "prompts"), ("resources/list", "resources")):
        wanted = pages(near, method, kind)
        until(
            lambda method=method, kind=kind, wanted=wanted: pages(far, method, kind) == wanted, f"all {kind} are listed"
        )
        assert json.dumps(pages(far, method, kind)) == json.dumps(wanted)
    assert json.dumps(bare(far.call("odd", {})["result"])) == json.dumps(ODD_RESULT)


def pages(client: Any, method: str, kind: str) -> list[Json]:
    """Return all pages of a list."""
    result = client.ask(method, {})["result"]
    found: list[Json] = result[kind]
    while "nextCursor" in result:
        result = client.ask(method, {"cursor": result["nextCursor"]})["result"]
        found += result[kind]
    return found


def test_the_servers_have_received_nothing_else_than_what_was_meant_for_them(
    place: tuple[Launcher, Path, Path],
) -> None:
    calls = read_log(place[2], "tools/call")
    assert {call["name"] for call in calls} == {"odd", "fail", "echo"}
