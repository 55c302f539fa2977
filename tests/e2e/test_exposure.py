"""Tools that are listed natively, tools that are found, and what happens when they change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .support.gateways import GATEWAY, Launcher, plain_entry, read_log, until
from .support.raw_clients import HttpClient, StdioClient

OWN = ["tool_search", "discover_tools", "call_remote_tool"]


def names(client: HttpClient | StdioClient) -> list[str]:
    return [tool["name"] for tool in client.ask("tools/list", {})["result"]["tools"]]


def test_only_servers_with_expose_tools_are_listed(launcher: Launcher) -> None:
    config = launcher.config(plain_entry("shown", expose_tools=True), plain_entry("hidden"))
    client = HttpClient(launcher.start_http(config).url, modern=True)
    listed = names(client)
    assert listed[:3] == OWN
    assert "shown__echo" in listed
    assert not [name for name in listed if name.startswith("hidden__")]
    assert client.call("hidden__echo", {"n": 1})["result"]["structuredContent"]["arguments"] == {"n": 1}


def test_a_search_does_not_change_the_list(launcher: Launcher) -> None:
    client = HttpClient(launcher.start_http(launcher.config(plain_entry("hidden"))).url, modern=True)
    before = client.ask("tools/list", {})["result"]
    client.call("tool_search", {"query": "echo"})
    assert client.ask("tools/list", {})["result"] == before


@pytest.mark.parametrize("era", ["handshake", "modern"])
def test_a_change_is_announced_and_found_without_asking(launcher: Launcher, era: str) -> None:
    config = launcher.config(plain_entry("shown", None, "--era", era, expose_tools=True))
    client = StdioClient(launcher.start([GATEWAY], launcher.environment(config)), modern=False)
    assert "shown__grown" not in names(client)
    client.call("shown__grow")

    def announced() -> bool:
        found = client.call("tool_search", {"query": "zebra crossing"})["result"]["structuredContent"]
        heard = [message["method"] for message in client.messages]
        return bool(found["tools"]) and "notifications/tools/list_changed" in heard

    until(announced, "the client hears of the new tool")
    assert "shown__grown" in names(client)


def test_a_server_that_announces_a_change_whenever_it_is_asked_is_asked_ever_more_rarely(
    launcher: Launcher, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    config = launcher.config(plain_entry("restless", log, "--restless"))
    client = StdioClient(launcher.start([GATEWAY], launcher.environment(config)), modern=True)

    def asked() -> int:
        return len(read_log(log, "tools/list"))

    until(lambda: asked() >= 6, "the server is asked three times, two pages each")
    begun = asked()
    assert client.call("restless__slow", {"seconds": 3})["result"]["content"]
    assert asked() - begun <= 10, "in three seconds there is time for thousands"


def test_a_change_is_announced_through_two_gateways(launcher: Launcher) -> None:
    inner = launcher.start_http(launcher.config(plain_entry("plain", expose_tools=True)))
    outer = launcher.config({"name": "inner", "url": inner.url, "expose_tools": True})
    client = StdioClient(launcher.start([GATEWAY], launcher.environment(outer)), modern=False)
    assert "inner__plain__grown" not in names(client)
    client.call("inner__plain__grow")
    until(lambda: "inner__plain__grown" in names(client), "the outer gateway hears of the new tool")
    assert "notifications/tools/list_changed" in [message.get("method") for message in client.messages]


def test_a_server_that_does_not_discover_by_itself_waits_until_it_is_asked(launcher: Launcher) -> None:
    config = launcher.config(plain_entry("lazy", auto_discover=False), plain_entry("off", enabled=False))
    client = HttpClient(launcher.start_http(config).url, modern=True)
    found = client.call("tool_search", {"query": "echo"})["result"]["structuredContent"]
    assert found["tools"] == []
    assert found["servers"] == ["lazy: its tools have not been asked for; call discover_tools with server_name 'lazy'"]
    assert client.call("lazy__echo", {"n": 1})["result"]["structuredContent"]["arguments"] == {"n": 1}
    assert client.call("tool_search", {"query": "echo"})["result"]["structuredContent"]["total_matches"] >= 1


def test_a_client_learns_which_servers_are_inside(launcher: Launcher) -> None:
    config = launcher.config(plain_entry("plain", description="Makes waffles"), plain_entry("other"))
    client = StdioClient(launcher.start([GATEWAY], launcher.environment(config)), modern=True)
    hello = client.ask("server/discover", {})["result"]
    assert "plain: Makes waffles" in hello["instructions"]
    search = client.ask("tools/list", {})["result"]["tools"][0]
    assert "plain (Makes waffles), other" in search["description"]
    until(
        lambda: "- other: A plain server" in client.ask("server/discover", {})["result"]["instructions"],
        "what a server says of itself is passed on",
    )


def test_a_tool_with_a_name_that_clients_refuse_is_called_by_a_short_one(launcher: Launcher) -> None:
    name = "read/" + "very-" * 20 + "long"
    config = launcher.config(plain_entry("plain", None, "--tool", name, expose_tools=True))
    client = HttpClient(launcher.start_http(config).url, modern=True)
    found = client.call("tool_search", {"query": "very long"})["result"]["structuredContent"]["tools"][0]
    short = found["tool_name"]
    assert len(short) == 64
    assert short in names(client)
    for called in (short, f"plain__{name}"):
        assert client.call(called)["result"]["structuredContent"] == {"called": name}
        remote = client.call("call_remote_tool", {"tool_name": called})["result"]
        assert remote["structuredContent"] == {"called": name}


def test_prompts_and_resources_are_listed_unless_a_server_keeps_them(launcher: Launcher) -> None:
    config = launcher.config(
        plain_entry("shown", None, "--place", "shown"),
        plain_entry("kept", None, "--place", "kept", expose_prompts=False, expose_resources=False),
    )
    client = HttpClient(launcher.start_http(config).url, modern=True)
    assert [prompt["name"] for prompt in client.ask("prompts/list", {})["result"]["prompts"]] == ["shown__greet"]
    assert [item["uri"] for item in client.ask("resources/list", {})["result"]["resources"]] == ["plain://shown/a"]
    refused = client.ask("prompts/get", {"name": "kept__greet"})["error"]
    assert (refused["code"], refused["data"]) == (-32602, {"error_code": "unknown_prompt"})
    assert "did you mean 'shown__greet'?" in refused["message"]
    unread = client.ask("resources/read", {"uri": "plain://kept/a"})["error"]
    assert (unread["code"], unread["data"]) == (-32602, {"error_code": "unknown_resource", "uri": "plain://kept/a"})
    old = HttpClient(client.url, modern=False).ask("resources/read", {"uri": "plain://kept/a"})["error"]
    assert (old["code"], old["data"]) == (-32002, {"error_code": "unknown_resource", "uri": "plain://kept/a"})


def test_a_resource_of_two_servers_is_an_error_that_names_them(launcher: Launcher) -> None:
    config = launcher.config(plain_entry("one"), plain_entry("two"))
    client = HttpClient(launcher.start_http(config).url, modern=True)
    assert len(client.ask("resources/list", {})["result"]["resources"]) == 2
    for uri in ("plain://plain/a", "plain://plain/items/1"):
        refused = client.ask("resources/read", {"uri": uri})["error"]
        assert "belongs to several servers: one, two" in refused["message"]


def test_a_server_without_a_namespace_is_called_as_if_the_gateway_were_not_there(launcher: Launcher) -> None:
    config = launcher.config(
        plain_entry("bare", None, "--place", "bare", namespace=None, expose_tools=True),
        plain_entry("other", None, "--place", "other", namespace="work"),
    )
    client = HttpClient(launcher.start_http(config).url, modern=True)
    assert {"odd", "echo"} <= set(names(client))
    prompts = [prompt["name"] for prompt in client.ask("prompts/list", {})["result"]["prompts"]]
    assert prompts == ["greet", "work__greet"]
    for name in ("echo", "work__echo"):
        assert client.call(name, {"n": 1})["result"]["structuredContent"]["arguments"] == {"n": 1}
    refused = client.call("ecko")["error"]
    assert (refused["code"], "did you mean 'echo'" in refused["message"]) == (-32602, True)


def test_a_child_gets_a_minimal_environment(launcher: Launcher) -> None:
    config = launcher.config(plain_entry("plain", env={"MINE": "${FROM_OUTSIDE}"}))
    client = HttpClient(
        launcher.start_http(config, FROM_OUTSIDE="1", REDIS_URL="redis://:pw@h", OTHER_SECRET="2").url, modern=True
    )
    seen = client.call("plain__environment")["result"]["structuredContent"]["names"]
    assert {"MINE", "PATH"} <= set(seen)
    assert not {"FROM_OUTSIDE", "REDIS_URL", "OTHER_SECRET", "SERVER_CONFIG_PATH", "GATEWAY_TRANSPORT"} & set(seen)


@pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])
@pytest.mark.parametrize("http", [True, False], ids=["http", "stdio"])
def test_names_have_the_length_that_is_set_and_calls_come_in_any_form(
    launcher: Launcher, modern: bool, http: bool
) -> None:
    name = "read-" + "very-" * 10 + "long"
    path = launcher.folder / "client.json"
    entry = plain_entry("x", None, "--tool", name, expose_tools=True)
    path.write_text(json.dumps({"mcpServers": {"高德地图": entry, "天气查询": entry}}), encoding="utf-8")
    client: HttpClient | StdioClient
    if http:
        client = HttpClient(launcher.start_http(path, GATEWAY_NAME_LENGTH="40").url, modern=modern)
    else:
        environment = launcher.environment(path, GATEWAY_NAME_LENGTH="40")
        client = StdioClient(launcher.start([GATEWAY], environment), modern=modern)
    until(lambda: len([one for one in names(client) if "__read-very" in one]) == 2, "both servers are listed")
    listed = names(client)
    assert max(map(len, listed)) <= 40
    assert len(set(listed)) == len(listed)
    whole = f"server-1ecb3b__{name}"
    for called in (
        whole,
        f"mcp__gateway__{whole}",
        next(one for one in listed if one.startswith("server-1ecb3b__read")),
    ):
        result = client.call("call_remote_tool", {"tool_name": called, "arguments": None, "n": 1})["result"]
        assert result["structuredContent"] == {"called": name}
    assert client.call(whole)["result"]["structuredContent"] == {"called": name}
    arguments = {"tool_name": "server-144cd5__echo", "arguments": '{"n": 12345678901234567890}'}
    echoed = client.call("call_remote_tool", arguments)["result"]["structuredContent"]
    assert echoed["arguments"] == {"n": 12345678901234567890}


def test_a_check_warns_of_a_long_list(launcher: Launcher) -> None:
    many = [part for number in range(40) for part in ("--tool", f"t{number}")]
    found = launcher.run(
        "check", "--connect", config=launcher.config(plain_entry("plain", None, *many, expose_tools=True))
    )
    assert found.returncode == 0
    assert "tools are listed natively, which is more than 40" in found.stdout
    short = launcher.run("check", "--connect", config=launcher.config(plain_entry("plain", None, *many)))
    assert "listed natively" not in short.stdout
