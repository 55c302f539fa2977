"""What the gateway declares is served: in every state, in both eras, over both transports, and when servers come."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from .support.gateways import GATEWAY, Launcher, plain_entry, until
from .support.matrix import Pair, full_entry
from .support.raw_clients import HttpClient, Json, StdioClient

TASKS = "io.modelcontextprotocol/tasks"
METHOD_NOT_FOUND = -32601
AnyClient = HttpClient | StdioClient
Servers = Callable[[Launcher], list[Json]]


def full(era: str, **keys: Any) -> Callable[[Launcher], Json]:
    return lambda launcher: full_entry(launcher, Pair("", era, "stdio"), **keys)


def bare(era: str, name: str = "bare", **keys: Any) -> Callable[[Launcher], Json]:
    """Configure a server that announces no changes of resources, sends no messages and has no extensions."""
    return lambda launcher: plain_entry(name, None, "--era", era, **keys)


def down(_: Launcher) -> Json:
    return {"name": "down", "transport": "stdio", "command": "/nowhere/server", "args": []}


ALONE: Json = {"namespace": None, "expose_tools": True}
STATES: dict[str, list[Callable[[Launcher], Json]]] = {
    "no server": [],
    "a server that is down": [down],
    "an only server that is down": [lambda launcher: {**down(launcher), **ALONE}],
    "a bare server": [bare("handshake")],
    "servers of all kinds": [full("handshake"), full("modern"), bare("modern"), down],
    "an only handshake server": [full("handshake", **ALONE)],
    "an only modern server": [full("modern", **ALONE)],
    "an only bare handshake server": [bare("handshake", **ALONE)],
    "an only bare modern server": [bare("modern", **ALONE)],
}


def capabilities_of(client: AnyClient) -> Json:
    found: Json = client.ask("server/discover", {})["result"] if client.modern else client.handshake_result
    declared: Json = found["capabilities"]
    return declared


def is_served(response: Json) -> bool:
    """Whether a request was answered, or refused with a reason that is not that there is no such method."""
    return "result" in response or response["error"]["code"] != METHOD_NOT_FOUND


def first(client: AnyClient, method: str, field: str, key: str, otherwise: str) -> str:
    listed = client.ask(method, {})["result"][field]
    return str(listed[0][key]) if listed else otherwise


def probe(client: AnyClient, name: str, value: Json) -> bool:  # noqa: PLR0911  # one answer a capability
    """Use a capability that was declared; an unknown one fails the test: it belongs into this table."""
    match name:
        case "tools" | "prompts":
            return "result" in client.ask(f"{name}/list", {})
        case "resources":
            lists = ("resources/list", "resources/templates/list")
            return all("result" in client.ask(method, {}) for method in lists) and subscribes(client, value)
        case "completions":
            prompt = first(client, "prompts/list", "prompts", "name", "none")
            asked = {"ref": {"type": "ref/prompt", "name": prompt}, "argument": {"name": "x", "value": ""}}
            return is_served(client.ask("completion/complete", asked))
        case "logging" if client.modern:
            level = {"_meta": {"io.modelcontextprotocol/logLevel": "debug"}}
            return is_served(client.ask("tools/call", {"name": "none", **level}))
        case "logging":
            return client.ask("logging/setLevel", {"level": "debug"})["result"] == {}
        case "tasks" if not client.modern:
            return all(is_served(client.ask(f"tasks/{what}", {"taskId": "none"})) for what in ("list", "get", "cancel"))
        case "experimental":
            return "result" in client.ask("vendor/hello", {})
        case "extensions":
            others = set(value) - {TASKS}
            about_tasks = TASKS not in value or is_served(client.ask("tasks/get", {"taskId": "none"}))
            return about_tasks and (not others or "result" in client.ask("vendor/hello", {}))
    raise AssertionError(f"nobody has said how {name!r} is used")


def subscribes(client: AnyClient, value: Json) -> bool:
    if not value.get("subscribe") or client.modern:
        return True  # a modern client hears in the acknowledgement what it is subscribed to
    uri = first(client, "resources/list", "resources", "uri", "none://x")
    return is_served(client.ask("resources/subscribe", {"uri": uri}))


def check(client: AnyClient) -> None:
    for moment in ("at first", "once the servers are known"):
        declared = capabilities_of(client)
        assert {name: probe(client, name, value) for name, value in declared.items()} == dict.fromkeys(declared, True)
        client.call("tool_search", {"query": moment})


@pytest.mark.parametrize("state", STATES)
def test_each_capability_that_is_declared_is_served_over_http(launcher: Launcher, state: str) -> None:
    config = launcher.config(*(make(launcher) for make in STATES[state]))
    gateway = launcher.start_http(config)
    for modern in (True, False):
        check(HttpClient(gateway.url, modern=modern))


@pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])
@pytest.mark.parametrize("state", STATES)
def test_each_capability_that_is_declared_is_served_over_stdio(launcher: Launcher, state: str, modern: bool) -> None:
    config = launcher.config(*(make(launcher) for make in STATES[state]))
    check(StdioClient(process=launcher.start([GATEWAY], launcher.environment(config)), modern=modern))


@pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])
@pytest.mark.parametrize("over", ["http", "stdio"])
def test_a_client_that_was_connected_before_the_second_server_gets_the_reason_why_an_extension_does_not_pass_any_more(
    launcher: Launcher, over: str, modern: bool
) -> None:
    only = full("modern" if modern else "handshake", **ALONE)(launcher)
    config = launcher.config(only)
    variables = {"GATEWAY_CONFIG_RELOAD": "0.1"}
    client: AnyClient
    if over == "http":
        client = HttpClient(launcher.start_http(config, **variables).url, modern=modern)
    else:
        process = launcher.start([GATEWAY], launcher.environment(config, **variables))
        client = StdioClient(process=process, modern=modern)
    assert "experimental" in capabilities_of(client)
    assert "result" in client.ask("vendor/hello", {})
    config.write_text(json.dumps({"servers": [only, plain_entry("second")]}), encoding="utf-8")
    until(lambda: "error" in client.ask("vendor/hello", {}), "the second server is there")
    error = client.ask("vendor/hello", {})["error"]
    assert error["code"] == METHOD_NOT_FOUND
    assert "no server here takes 'vendor/hello'" in error["message"]
    assert "only while one server stands alone" in error["message"]
    assert f"servers now: {only['name']!r}, 'second'" in error["message"]
    if modern:
        declared = capabilities_of(client)
        assert "experimental" not in declared
        assert not {*declared.get("extensions", {})} - {TASKS}
    config.write_text(json.dumps({"servers": [only]}), encoding="utf-8")
    until(lambda: "result" in client.ask("vendor/hello", {}), "it passes again")
