"""Both eras on both sides: what passes only if both ends know it, and one server that is seen as if it were alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from .servers.plain_offers import BESIDES, FULL_INFO
from .support.gateways import Launcher
from .support.matrix import (
    BACKWARD,
    EQUAL,
    FORWARD,
    OLD_CLIENT,
    PAIRS,
    Json,
    MatrixGateway,
    Pair,
    cell,
    full_entry,
    open_clients,
    shared_matrix_gateway,
)
from .support.raw_clients import HttpClient

TASKS = "io.modelcontextprotocol/tasks"
DONE = [{"type": "text", "text": "job done"}]
ONE_TRANSPORT = ["stdio"]


@pytest.fixture(scope="module")
def gateway(request: pytest.FixtureRequest) -> MatrixGateway:
    return shared_matrix_gateway(request)


@pytest.fixture(scope="module")
def proxies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """For each server a gateway that has no other; their URLs."""
    with ExitStack() as stack:
        found = {}
        for era in ("handshake", "modern"):
            launcher = Launcher(tmp_path_factory.mktemp(era), stack)
            config = launcher.config(full_entry(launcher, Pair("", era, "stdio"), namespace=None))
            found[era] = launcher.start_http(config).url
        yield found


@pytest.fixture
def client(proxies: dict[str, str], pair: Pair) -> Iterator[HttpClient]:
    with open_clients(proxies[pair.server]) as make_client:
        yield make_client(pair, {"extensions": {TASKS: {}}})


def handshake_result(client: HttpClient) -> Json:
    """Return what is said of the server, as the era says it."""
    found: Json = client.ask("server/discover", {})["result"] if client.modern else client.handshake_result
    return found


@cell("instructions and serverInfo of the only server", over=ONE_TRANSPORT)
def test_the_only_server_introduces_itself(client: HttpClient, pair: Pair) -> None:
    hello = handshake_result(client)
    assert hello["instructions"] == "Use it\nplainly"
    called = client.call("echo", {})["result"]
    if pair.modern:
        for result in (hello, called):
            info = result["_meta"]["io.modelcontextprotocol/serverInfo"]
            assert json.dumps(info) == json.dumps(FULL_INFO)
    else:
        assert json.dumps(hello["serverInfo"]) == json.dumps(FULL_INFO)


@cell("extensions and experimental capabilities", pairs=EQUAL, over=ONE_TRANSPORT)
def test_what_goes_beyond_the_protocol_is_declared_where_both_ends_speak_the_same_era(
    client: HttpClient, gateway: MatrixGateway, pair: Pair
) -> None:
    capabilities = handshake_result(client)["capabilities"]
    assert capabilities["experimental"] == BESIDES["experimental"]
    assert {**capabilities["extensions"], **BESIDES["extensions"]} == capabilities["extensions"]
    assert (TASKS in capabilities["extensions"], "tasks" in capabilities) == (pair.modern, not pair.modern)
    with open_clients(gateway.url) as make_client:
        make_client(pair).ask("tools/list", {})  # which waits until the servers are known
        joined = handshake_result(make_client(pair))["capabilities"]
        assert "experimental" not in joined, "among several servers nobody knows whose such requests are"
        assert list(joined.get("extensions", {})) == ([TASKS] if pair.modern else [])
        assert ("tasks" in joined) == (not pair.modern)


@cell("extensions and experimental capabilities", pairs=[*FORWARD, *BACKWARD], over=ONE_TRANSPORT)
def test_what_goes_beyond_the_protocol_is_not_declared_to_the_other_era(client: HttpClient) -> None:
    capabilities = handshake_result(client)["capabilities"]
    assert not {"experimental", "extensions", "tasks"} & set(capabilities)
    assert {"tools", "prompts", "resources", "completions"} <= set(capabilities)


@cell("unknown methods", over=ONE_TRANSPORT)
def test_the_only_server_gets_requests_that_nobody_here_knows(client: HttpClient, pair: Pair) -> None:
    params = {"z": [1.0, None, 2**70], "a": {"é": True}, "_meta": {"vendor/m": None}}
    result = client.ask("vendor/hello", params)["result"]
    assert json.dumps(result["vendorTop"]) == "[1.0, null]"
    received = result["hello"]
    assert received["_meta"]["vendor/m"] is None
    assert {**received, "_meta": {"vendor/m": None}} == params
    assert client.ask("vendor/nothing", {})["error"] == {"code": -32601, "message": "Method not found"}


@cell("tasks", pairs=PAIRS[:1])
def test_tasks_of_the_handshake_era_pass_between_old_ones(gateway: MatrixGateway, pair: Pair) -> None:
    with open_clients(gateway.url) as make_client:
        client = make_client(pair)
        task = client.call(f"{pair.name}__job", {}, task={"ttl": 60000})["result"]["task"]
        assert (task["status"], task["vendor"], task["ttl"]) == ("working", [None, 2**70], 60000)
        named = {"taskId": task["taskId"]}
        assert client.ask("tasks/get", named)["result"]["status"] == "completed"
        result = client.ask("tasks/result", named)["result"]
        assert (result["content"], result["_meta"]) == (DONE, {"io.modelcontextprotocol/related-task": named})
        assert task["taskId"] in [listed["taskId"] for listed in client.ask("tasks/list", {})["result"]["tasks"]]
        assert client.ask("tasks/cancel", named)["result"]["status"] == "cancelled"
        assert client.ask("tasks/get", {"taskId": "nobody's"})["error"]["code"] == -32602


@cell("tasks", pairs=PAIRS[3:])
def test_tasks_of_the_modern_era_pass_between_new_ones(gateway: MatrixGateway, pair: Pair) -> None:
    with open_clients(gateway.url) as make_client:
        client = make_client(pair, {"extensions": {TASKS: {}}})
        task = client.call(f"{pair.name}__job", {})["result"]
        assert (task["resultType"], task["vendor"], task["ttlMs"]) == ("task", [None, 2**70], 60000)
        named = {"taskId": task["taskId"]}
        got = client.ask("tasks/get", named)["result"]
        assert (got["status"], got["result"]["content"]) == ("completed", DONE)
        responses = {"q": {"resultType": "complete", "action": "accept"}}
        assert client.ask("tasks/update", {**named, "inputResponses": responses})["result"]["updated"] == responses
        assert "result" in client.ask("tasks/cancel", named)
        assert client.ask("tasks/get", {"taskId": "nobody's"})["error"]["code"] == -32602


@cell("tasks", pairs=[*FORWARD, *BACKWARD])
def test_between_the_eras_a_call_is_answered_when_it_is_done(gateway: MatrixGateway, pair: Pair) -> None:
    with open_clients(gateway.url) as make_client:
        client = make_client(pair, {"extensions": {TASKS: {}}} if pair.modern else {})
        wanted = {} if pair.modern else {"task": {"ttl": 60000}}
        assert client.call(f"{pair.name}__job", {}, **wanted)["result"]["content"] == DONE


@cell("cache hints", pairs=OLD_CLIENT, over=ONE_TRANSPORT)
def test_an_old_client_gets_no_hints(client: HttpClient) -> None:
    for method, params in (("tools/list", {}), ("prompts/list", {}), ("resources/read", {"uri": "plain://x/items/1"})):
        result = client.ask(method, {**params, **_there(client, params)})["result"]
        assert not {"ttlMs", "cacheScope", "resultType"} & set(result)


def _there(client: HttpClient, params: Json) -> Json:
    """Return the URI of a resource that the server behind has."""
    listed = client.ask("resources/list", {})["result"]["resources"]
    return {"uri": listed[0]["uri"]} if "uri" in params else {}


@cell("cache hints", pairs=BACKWARD, over=ONE_TRANSPORT)
def test_an_old_server_s_answers_are_not_to_be_kept(client: HttpClient) -> None:
    for method in ("tools/list", "prompts/list", "resources/list", "resources/templates/list"):
        result = client.ask(method, {})["result"]
        assert (result["ttlMs"], result["cacheScope"]) == (0, "private")
    result = client.ask("resources/read", _there(client, {"uri": ""}))["result"]
    assert (result["ttlMs"], result["cacheScope"]) == (0, "private")


@cell("cache hints", pairs=PAIRS[3:], over=ONE_TRANSPORT)
def test_hints_of_lists_pass_less_their_age_and_others_as_they_are(client: HttpClient) -> None:
    for method in ("tools/list", "prompts/list", "resources/list", "resources/templates/list"):
        result = client.ask(method, {})["result"]
        assert 0 < result["ttlMs"] <= 60000
        assert result["cacheScope"] == "public"
    result = client.ask("resources/read", _there(client, {"uri": ""}))["result"]
    assert (result["ttlMs"], result["cacheScope"]) == (1234, "public")
