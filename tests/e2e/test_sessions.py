"""Sessions are opened once, shared or not as configured, and replaced when they are lost."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import httpx2

from .support.gateways import GATEWAY, Launcher, is_alive, plain_entry, read_log, until
from .support.raw_clients import HttpClient, StdioClient


def pid_of(client: Any, server: str = "plain") -> int:
    return int(client.call(f"{server}__whoami")["result"]["structuredContent"]["pid"])


def test_many_calls_are_one_process_and_one_handshake(launcher: Launcher, tmp_path: Path) -> None:
    log = tmp_path / "log"
    gateway = launcher.start_http(launcher.config(plain_entry("plain", log)))
    clients = [HttpClient(gateway.url, modern) for modern in (True, False, True)]
    assert len({pid_of(client) for client in clients for _ in range(5)}) == 1
    assert len(read_log(log, "start")) == len(read_log(log, "initialize")) == 1
    assert len(read_log(log, "notifications/initialized")) == 1


def test_concurrent_calls_share_a_session_without_waiting_for_each_other(launcher: Launcher, tmp_path: Path) -> None:
    log = tmp_path / "log"
    config = launcher.config(plain_entry("plain", log))
    client = StdioClient(launcher.start([GATEWAY], launcher.environment(config)), modern=True)
    slow = client.begin("tools/call", {"name": "plain__slow", "arguments": {"seconds": 30}})
    until(lambda: len(read_log(log, "tools/call")) == 1, "the slow call reaches the server")
    assert client.call("plain__echo", {"n": 1})["result"]["structuredContent"]["arguments"] == {"n": 1}
    client.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": slow}})
    until(lambda: read_log(log, "stopped"), "the cancellation reaches the server")
    assert len(read_log(log, "start")) == 1


def test_a_stateful_server_gives_each_client_a_session_of_its_own(launcher: Launcher) -> None:
    gateway = launcher.start_http(launcher.config(plain_entry("plain", connection_mode="stateful")))
    one, two = HttpClient(gateway.url, modern=False), HttpClient(gateway.url, modern=False)
    first, second = pid_of(one), pid_of(two)
    assert first != second
    assert (pid_of(one), pid_of(two)) == (first, second)
    httpx2.delete(gateway.url, headers=one._session)
    until(lambda: not is_alive(first), "the session of a client that left ends with it")
    assert is_alive(second)


def test_the_default_connection_mode_comes_from_the_environment(launcher: Launcher) -> None:
    config = launcher.config(plain_entry("own"), plain_entry("shared", connection_mode="stateless"))
    gateway = launcher.start_http(config, MCP_GATEWAY_DEFAULT_CONNECTION_MODE="stateful")
    one, two = HttpClient(gateway.url, modern=False), HttpClient(gateway.url, modern=False)
    assert pid_of(one, "own") != pid_of(two, "own")
    assert pid_of(one, "shared") == pid_of(two, "shared")


def is_another(client: Any, first: int) -> bool:
    """Whether a call reaches another process; while the gateway has not seen the end of the first, it fails."""
    result = client.call("plain__whoami")["result"]
    return result.get("isError") is not True and result["structuredContent"]["pid"] != first


def test_a_server_that_died_is_started_again_at_the_next_use(launcher: Launcher) -> None:
    config = launcher.config(plain_entry("plain"))
    client = StdioClient(launcher.start([GATEWAY], launcher.environment(config)), modern=True)
    first = pid_of(client)
    os.kill(first, signal.SIGKILL)
    until(lambda: not is_alive(first), "the server is gone")
    until(lambda: is_another(client, first), "the gateway has seen that, and started another")


def test_a_server_that_dies_in_mid_call_is_an_error_that_quotes_its_last_words(launcher: Launcher) -> None:
    config = launcher.config(plain_entry("plain"))
    client = StdioClient(launcher.start([GATEWAY], launcher.environment(config)), modern=True)
    answer = client.call("plain__crash")["result"]
    assert answer["isError"] is True
    assert answer["structuredContent"]["error_code"] == "server_unavailable"
    assert "'plain'" in answer["content"][0]["text"]
    assert "the plain server was told to crash" in answer["content"][0]["text"]
    assert pid_of(client)


def test_a_forgotten_http_session_is_replaced_without_the_caller_noticing(launcher: Launcher, tmp_path: Path) -> None:
    log = tmp_path / "log"
    url, _ = launcher.start_plain_http("--sessions", log=log)
    gateway = launcher.start_http(launcher.config({"name": "plain", "url": url}))
    client = HttpClient(gateway.url, modern=True)
    assert client.call("plain__echo", {"n": 1})["result"]["structuredContent"]["arguments"] == {"n": 1}
    httpx2.delete(url.replace("/mcp", "/sessions"))
    assert client.call("plain__echo", {"n": 2})["result"]["structuredContent"]["arguments"] == {"n": 2}
    assert len(read_log(log, "initialize")) == 2
    assert read_log(log, "unknown session")


def test_an_http_server_that_comes_back_is_used_again(launcher: Launcher) -> None:
    url, server = launcher.start_plain_http("--era", "modern")
    config = launcher.config({"name": "plain", "url": url, "max_retries": 0})
    client = HttpClient(launcher.start_http(config).url, modern=True)
    pid_of(client)
    server.end()
    gone = client.call("plain__whoami")["result"]
    assert gone["structuredContent"]["error_code"] == "server_unavailable"
    assert "cannot be reached" in gone["content"][0]["text"]
    port = url.split(":")[2].removesuffix("/mcp")
    launcher.start_plain_http("--era", "modern", "--port", port)
    assert pid_of(client)


def test_a_slow_call_is_an_error_and_progress_extends_its_time(launcher: Launcher, tmp_path: Path) -> None:
    log = tmp_path / "log"
    config = launcher.config(plain_entry("plain", log))
    environment = launcher.environment(config, MCP_GATEWAY_CONNECTION_TIMEOUT="2")
    client = StdioClient(launcher.start([GATEWAY], environment), modern=True)
    late = client.call("plain__slow", {"seconds": 60})["result"]
    assert late["structuredContent"]["error_code"] == "timeout"
    assert "'plain' gave no answer within 2 s" in late["content"][0]["text"]
    until(lambda: read_log(log, "stopped"), "the server hears that nobody waits any more")
    meta = {"progressToken": "p"}
    alive = client.call("plain__slow", {"seconds": 0.8, "steps": 4}, _meta=meta)["result"]
    assert alive["content"] == [{"type": "text", "text": "slow done"}]
    progress = [item["params"]["progress"] for item in client.messages if item["method"] == "notifications/progress"]
    assert progress == [1, 2, 3, 4]


def test_the_timeout_of_one_server_can_be_its_own(launcher: Launcher) -> None:
    config = launcher.config(plain_entry("quick", timeout=1), plain_entry("patient"))
    client = StdioClient(launcher.start([GATEWAY], launcher.environment(config)), modern=True)
    assert client.call("quick__slow", {"seconds": 60})["result"]["structuredContent"]["error_code"] == "timeout"
    assert client.call("patient__slow", {"seconds": 2})["result"]["content"]


def test_connecting_is_tried_again_as_often_as_configured(launcher: Launcher) -> None:
    refused = {"name": "gone", "url": "http://127.0.0.1:9/mcp"}
    gateway = launcher.start_http(launcher.config(refused), MCP_GATEWAY_MAX_RETRIES="2")
    gateway.wait_for("discovery failed")
    assert sum('"connection retried"' in line for line in gateway.errors.seen) == 2
