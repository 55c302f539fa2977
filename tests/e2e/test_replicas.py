"""Several gateways with one Redis behind a real load balancer: what one knows all know, and one may die."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from .support.gateways import Launcher, free_port, plain_entry, read_log, redis_server, until
from .support.load import THREADS, Load
from .support.load_balancer import NAMES, Replicas
from .support.raw_clients import HttpClient


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    port = free_port()
    with redis_server(tmp_path, port):
        yield port


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def replicas(launcher: Launcher, redis: int, *servers: Any, **variables: str) -> Replicas:
    shared = {"STORAGE_BACKEND": "redis", "REDIS_URL": f"redis://127.0.0.1:{redis}/0"}
    return Replicas(launcher, launcher.config(*servers), {**shared, **variables})


def search(url: str, query: str) -> list[str]:
    result = HttpClient(url, modern=True).call("tool_search", {"query": query})["result"]
    return [tool["tool_name"] for tool in result["structuredContent"]["tools"]]


def test_three_that_start_together_ask_a_server_once(launcher: Launcher, port: int, log: Path) -> None:
    url, _ = launcher.start_plain_http(log=log)
    three = replicas(launcher, port, {"name": "plain", "url": url})
    three.start(*NAMES)
    assert [search(each.url, "echo arguments")[0] for each in three.running.values()] == ["plain__echo"] * 3
    assert len(read_log(log, "tools/list")) == 2, "two pages, once"


@pytest.mark.parametrize("options", [("--era", "handshake", "--sessions"), ("--era", "modern", "--full")])
def test_a_change_that_one_replica_is_notified_of_reaches_all(
    launcher: Launcher, port: int, log: Path, options: tuple[str, ...]
) -> None:
    url, _ = launcher.start_plain_http(*options, log=log)
    three = replicas(launcher, port, {"name": "plain", "url": url, "expose_tools": True})
    three.start(*NAMES)
    clients = [HttpClient(each.url, modern=True) for each in three.running.values()]

    def listed(client: HttpClient) -> bool:
        return "plain__grown" in {tool["name"] for tool in client.ask("tools/list", {})["result"]["tools"]}

    for client in clients:
        until(lambda client=client: search(client.url, "echo arguments"), "the tools are found")
        assert not listed(client)
    began = time.monotonic()
    clients[0].call("plain__grow")
    for client in clients:
        until(lambda client=client: listed(client), "the new tool is listed")
    print(f"after {time.monotonic() - began:.2f} s all three have the new tool")
    assert all("plain__grown" in search(client.url, "zebra crossing") for client in clients)


def test_a_new_one_finds_tools_before_any_server_is_up(launcher: Launcher, port: int) -> None:
    url, server = launcher.start_plain_http()
    some = replicas(launcher, port, {"name": "plain", "url": url}, MCP_GATEWAY_TOOL_CACHE_TTL="1")
    some.start("one")
    found = until(lambda: search(some.running["one"].url, "echo arguments"), "the tools are found")
    assert found[0] == "plain__echo"
    some.running["one"].end()
    server.end()
    ended = time.monotonic()
    until(lambda: time.monotonic() > ended + 1, "the definitions are old")
    with socket.create_server(("127.0.0.1", urlsplit(url).port or 0)):  # it accepts, and is silent
        some.start("two")
        assert search(some.running["two"].url, "echo arguments")[0] == "plain__echo"


# -- sessions of the handshake era


def test_a_session_of_the_handshake_era_is_not_known_elsewhere_and_that_is_a_404(launcher: Launcher, port: int) -> None:
    three = replicas(launcher, port, plain_entry("plain"))
    three.start("one", "two")
    client = HttpClient(three.running["one"].url, modern=False)
    assert client.call("plain__echo", {"n": 1})["result"]["structuredContent"]["arguments"] == {"n": 1}
    client.url = three.running["two"].url
    for method, params in (("tools/call", {"name": "plain__echo", "arguments": {}}), ("tools/list", {})):
        response = client.post(method, params)
        assert response.status_code == 404
        assert response.json()["error"]["message"] == "Session not found"
    client.url = three.running["one"].url
    assert client.call("plain__echo", {"n": 2})["result"]["structuredContent"]["arguments"] == {"n": 2}


def test_a_session_stays_where_it_was_opened_and_begins_anew_when_that_one_is_gone(
    launcher: Launcher, port: int
) -> None:
    url, _ = launcher.start_plain_http()
    three = replicas(launcher, port, {"name": "plain", "url": url})
    three.start(*NAMES)
    front = three.balanced()
    clients = [HttpClient(front, modern=False) for _ in range(6)]
    call = ("tools/call", {"name": "plain__echo", "arguments": {"n": 1}})
    homes = [{client.post(*call).headers["x-served-by"] for _ in range(4)} for client in clients]
    assert all(len(home) == 1 for home in homes), homes
    assert set.union(*homes) == set(NAMES)
    three.kill("one")
    for client, (home,) in zip(clients, homes, strict=True):
        if home != "one":
            assert client.post(*call).status_code == 200
            continue
        until(lambda client=client: client.post(*call).status_code == 404, "another gateway says 404")
        assert HttpClient(front, modern=False).call("plain__echo", {"n": 2})["result"]["structuredContent"][
            "arguments"
        ] == {"n": 2}


# -- under load


def test_one_dies_and_redis_restarts_under_load(launcher: Launcher, tmp_path: Path) -> None:
    url, _ = launcher.start_plain_http("--era", "modern", "--full")
    port = free_port()
    plain = {"name": "plain", "url": url, "expose_tools": True}
    three = replicas(launcher, port, plain, MCP_GATEWAY_TOOL_CACHE_TTL="1")
    with ExitStack() as store:
        store.enter_context(redis_server(tmp_path, port))
        three.start(*NAMES)
        assert [search(each.url, "echo arguments")[0] for each in three.running.values()] == ["plain__echo"] * 3
        with Load(three.balanced()) as load:
            load.goes_on()
            alive = time.monotonic()
            three.kill("two")
            dead = time.monotonic()
            load.goes_on()
            store.close()
            for each in three.running.values():
                each.wait_for("storage failed")
            load.goes_on()
            three.start("two")
            until(lambda: load.uses("two"), "the gateway that was started again is used")
            store.enter_context(redis_server(tmp_path, port))
            for each in three.running.values():
                each.wait_for("storage recovered")
            load.goes_on()
            grown = HttpClient(load.url, modern=True).call("plain__grow")
            assert "error" not in grown
            for each in three.running.values():
                until(lambda each=each: "plain__grown" in search(each.url, "zebra crossing"), "all know the new tool")
            load.goes_on()
    assert not load.wrong, load.wrong[:3]
    assert all(began <= dead and alive <= ended for began, ended, _ in load.failed), (alive, dead, load.failed)
    assert len(load.failed) <= THREADS
