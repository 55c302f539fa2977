"""Tools that the configuration forbids: no client of any era over any transport gets at one."""

from __future__ import annotations

import json

import pytest

from .support.gateways import GATEWAY, Launcher, plain_entry, read_log
from .support.raw_clients import HttpClient, Json, StdioClient

TOOLS = [part for name in ("look", "wipe", "wipe_all") for part in ("--tool", name)]
FORBIDDEN = ("wipe", "wipe_all", "Wipe")


@pytest.mark.parametrize("http", [True, False], ids=["http", "stdio"])
def test_a_forbidden_tool_is_reached_by_no_way(launcher: Launcher, http: bool) -> None:
    logs = {name: launcher.folder / f"{name}.log" for name in ("child", "web")}
    keys: Json = {"expose_tools": True, "tools": {"exclude": ["wipe*"]}}
    url, _ = launcher.start_plain_http(*TOOLS, "--era", "modern", log=logs["web"])
    bare: Json = {"name": "web", "url": url, "namespace": None, **keys}
    config = launcher.config(plain_entry("child", logs["child"], *TOOLS, **keys), bare)
    address = launcher.start_http(config).url if http else ""
    for modern in (True, False):
        client: HttpClient | StdioClient
        if http:
            client = HttpClient(address, modern=modern)
        else:
            process = launcher.start([GATEWAY], launcher.environment(config))
            client = StdioClient(process=process, modern=modern)
        found = json.dumps(client.call("tool_search", {"query": "look wipe"}))
        assert "child__look" in found
        assert "wipe" not in found.replace("look wipe", "")
        again = client.call("discover_tools", {"server_name": "web"})["result"]["structuredContent"]
        assert "wipe" not in json.dumps(again)
        listed = [tool["name"] for tool in client.ask("tools/list", {})["result"]["tools"]]
        assert {"child__look", "look"} <= set(listed)
        assert not [name for name in listed if "wipe" in name.lower()]
        for name in FORBIDDEN:
            for full in (name, f"child__{name}", f"web__{name}", f"mcp__gateway__child__{name}"):
                for answer in (client.call(full, {}), client.call("call_remote_tool", {"tool_name": full})):
                    assert "error" in answer or answer["result"]["isError"], full
        assert client.call("child__look", {})["result"].get("isError") is not True
        assert client.call("look", {})["result"].get("isError") is not True
    for log in logs.values():
        assert {call["name"] for call in read_log(log, "tools/call")} == {"look"}


def test_check_counts_what_is_forbidden_and_names_patterns_that_match_nothing(launcher: Launcher) -> None:
    config = launcher.config(plain_entry("child", None, *TOOLS, tools={"exclude": ["wipe*", "lok"]}))
    done = launcher.run("check", "--connect", config=config)
    assert "(2 more forbidden)" in done.stdout
    said = "none of its tools is called 'lok', which \"tools\" names; did you mean 'look'?"
    assert f"warning: server 'child': {said}" in done.stdout
    assert done.returncode == 0


def test_what_another_programs_file_forbids_is_forbidden(launcher: Launcher) -> None:
    log = launcher.folder / "child.log"
    entry = plain_entry("child", log, *TOOLS)
    keys = {"command": entry["command"], "args": entry["args"], "disabledTools": ["wipe", "wipe_all(now)"]}
    config = launcher.folder / "cline_mcp_settings.json"
    config.write_text(json.dumps({"mcpServers": {"child": keys, "off": {"command": "x", "disabled": "true"}}}), "utf-8")
    done = launcher.run("check", "--connect", config=config)
    assert "(2 more forbidden)" in done.stdout
    assert "switched off: off" in done.stdout
    assert launcher.run("call", "child__wipe", config=config).returncode == 1
    assert launcher.run("call", "child__look", config=config).returncode == 0
    assert [call["name"] for call in read_log(log, "tools/call")] == ["look"]
