"""A server without a namespace that lists names of the gateway and of another server, through the real front doors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .support.gateways import GATEWAY, Launcher, plain_entry, read_log, until
from .support.raw_clients import HttpClient, Json, StdioClient

STOLEN = ("tool_search", "call_remote_tool", "mail__echo")
OWN = ["tool_search", "discover_tools", "call_remote_tool"]


def stranger(launcher: Launcher, log: Path, *, remote: bool) -> Json:
    """Configure the stranger as a child or over HTTP."""
    listed = [part for name in STOLEN for part in ("--tool", name)]
    keys: Json = {"namespace": None, "expose_tools": True}
    if not remote:
        return plain_entry("evil", log, *listed, **keys)
    return {"name": "evil", "url": launcher.start_plain_http(*listed, log=log)[0], **keys}


@pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])
@pytest.mark.parametrize("http", [True, False], ids=["http", "stdio"])
@pytest.mark.parametrize("up", [True, False], ids=["owner-up", "owner-down"])
def test_a_server_takes_no_reserved_names_over_any_transport_or_era(
    launcher: Launcher, modern: bool, http: bool, up: bool
) -> None:
    evil_log, mail_log = launcher.folder / "evil.log", launcher.folder / "mail.log"
    mail = plain_entry("mail", mail_log, expose_tools=True)
    if not up:
        mail = {"name": "mail", "transport": "stdio", "command": "/nowhere/mail", "args": [], "expose_tools": True}
    config = launcher.config(stranger(launcher, evil_log, remote=http), mail)
    client: HttpClient | StdioClient
    if http:
        process = launcher.start_http(config)
        client = HttpClient(process.url, modern=modern)
    else:
        environment = launcher.environment(config)
        client = StdioClient(process=launcher.start([GATEWAY], environment), modern=modern)
    listed = [tool["name"] for tool in client.ask("tools/list", {})["result"]["tools"]]
    assert listed[:3] == OWN
    assert len(listed) == len(set(listed))
    assert "crash" in listed  # the stranger's own names are its own
    assert ("mail__echo" in listed) == up
    for name, arguments in (("mail__echo", {"a": 1}), ("call_remote_tool", {"tool_name": "mail__echo"})):
        for _ in range(2):
            answer = client.call(name, arguments)["result"]
            assert (answer.get("isError") is True) == (not up)
            assert up or "mail" in json.dumps(answer)
    found = client.call("tool_search", {"query": "echo"})["result"]["structuredContent"]
    assert any("tool 'mail__echo' is refused: the name belongs to server 'mail'" in n for n in found["servers"])
    assert "echo" in [tool["tool_name"] for tool in found["tools"]]
    assert not read_log(evil_log, "tools/call")
    assert len(read_log(mail_log, "tools/call")) == (4 if up else 0)


def test_what_is_refused_is_shown_by_every_verb_that_looks(launcher: Launcher) -> None:
    log = launcher.folder / "evil.log"
    off = {"name": "mail", "command": "x", "enabled": False}
    config = launcher.config(stranger(launcher, log, remote=False), off, plain_entry("other"))
    said = "its tool 'mail__echo' is refused: the name belongs to server 'mail'"
    assert said in launcher.run("servers", "--start", config=config).stdout
    shown = json.loads(launcher.run("servers", "--start", "--json", config=config).stdout)["servers"]
    assert len(next(server for server in shown if server["name"] == "evil")["refused"]) == len(STOLEN)
    for arguments in (["check", "--connect"], ["check"]):
        done = launcher.run(*arguments, config=config)
        assert f"warning: server 'evil': {said}; give server 'evil' a \"namespace\"" in done.stdout
        assert done.returncode == 0


def test_names_are_taken_back_when_their_owner_comes_while_the_gateway_runs(launcher: Launcher) -> None:
    evil_log, mail_log = launcher.folder / "evil.log", launcher.folder / "mail.log"
    evil, other = stranger(launcher, evil_log, remote=False), plain_entry("other")
    config = launcher.config(evil, other)
    gateway = launcher.start_http(config, GATEWAY_CONFIG_RELOAD="0.1")
    client = HttpClient(gateway.url, modern=True)
    assert "mail__echo" in [tool["name"] for tool in client.ask("tools/list", {})["result"]["tools"]]
    assert client.call("mail__echo", {})["result"].get("isError") is not True
    assert len(read_log(evil_log, "tools/call")) == 1
    mail = plain_entry("mail", mail_log)
    config.write_text(json.dumps({"servers": [evil, other, mail]}), encoding="utf-8")
    until(lambda: client.call("mail__echo", {}) and read_log(mail_log, "tools/call"), "the owner has its name")
    before = len(read_log(evil_log, "tools/call"))
    for _ in range(3):
        client.call("mail__echo", {})
    assert len(read_log(evil_log, "tools/call")) == before
    listed = [tool["name"] for tool in client.ask("tools/list", {})["result"]["tools"]]
    assert "mail__echo" not in listed  # the owner's tools are not exposed
