"""What `doctor` finds in the files of other programs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from mcp_gateway_cli.clients.launch import describe_fault

GATEWAY = {"command": sys.executable, "args": ["-m", "mcp_gateway.main"]}
ALPHA = {"name": "alpha", "transport": "memory"}


@pytest.fixture
def find(run, home, servers):
    """Write Cursor's file, and examine; return the exit code and the findings on that file, by code."""

    def find_faults(entries):
        servers(ALPHA)
        (home / ".cursor").mkdir(exist_ok=True)
        text = entries if isinstance(entries, str) else json.dumps({"mcpServers": entries})
        (home / ".cursor" / "mcp.json").write_text(text, encoding="utf-8")
        code, out, _ = run("doctor", "--json")
        findings = json.loads(out)["findings"]
        return code, {one["code"]: one for one in findings if one["subject"] == "~/.cursor/mcp.json"}

    return find_faults


def test_a_server_that_the_gateway_has_too_is_a_warning(find):
    code, found = find({"gateway": GATEWAY, "alpha": {"command": "x"}})
    assert (code, list(found)) == (10, ["client-has-both"])
    assert found["client-has-both"]["message"] == (
        "Cursor starts the gateway, and besides these of its servers: alpha; its model has each of their tools twice"
    )
    assert "mcp-orchestration-gateway init" in found["client-has-both"]["mend"]


def test_other_servers_beside_the_gateway_are_a_remark(find):
    code, found = find({"gateway": GATEWAY, "other": {"command": "x"}})
    assert (code, list(found)) == (0, ["client-has-more"])
    assert found["client-has-more"]["message"] == (
        "Cursor starts the gateway, and besides servers of its own: other; mcp-orchestration-gateway init moves those "
        "that work"
    )
    assert found["client-has-more"]["mend"] == ""


UNMOVABLE = {
    "an input": (
        "VS Code",
        ".config/Code/User/mcp.json",
        {"servers": {"gateway": GATEWAY, "own": {"command": "x", "env": {"KEY": "${input:key}"}}}},
        "only that program can ask for its input 'key'",
    ),
    "an open folder": (
        "Cursor",
        ".cursor/mcp.json",
        {"mcpServers": {"gateway": GATEWAY, "own": {"command": "x", "args": ["${workspaceFolder}"]}}},
        "only that program knows its folder, ${workspaceFolder}",
    ),
    "an extension": (
        "Zed",
        ".config/zed/settings.json",
        {"context_servers": {"gateway": GATEWAY, "own": {"source": "extension", "settings": {}}}},
        "it is an extension of that program, which only that program can start",
    ),
    "a broken entry": (
        "Cursor",
        ".cursor/mcp.json",
        {"mcpServers": {"gateway": GATEWAY, "own": {"args": []}}},
        """it needs "command", the program to start (stdio), or "url", where it is (HTTP)""",
    ),
}


@pytest.mark.parametrize("kind", UNMOVABLE)
def test_a_server_that_cannot_be_moved_is_told_with_the_reason_and_without_init(run, home, servers, monkeypatch, kind):
    title, place, written, reason = UNMOVABLE[kind]
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    servers(ALPHA)
    (home / place).parent.mkdir(parents=True, exist_ok=True)
    (home / place).write_text(json.dumps(written), encoding="utf-8")
    code, out, _ = run("doctor", "--json")
    found = [one for one in json.loads(out)["findings"] if one["subject"] == f"~/{place}"]
    said = f"{title} has own beside the gateway, which cannot be moved there: {reason}"
    assert [(one["code"], one["severity"], one["message"], one["mend"]) for one in found] == [
        ("client-has-more", "ok", said, "")
    ]
    assert code == 0
    left_out = json.loads(run("init", "--dry-run", "--json")[1])["left_out"]
    assert [(each["name"], each["reason"].startswith(reason)) for each in left_out] == [("own", True)]


def test_one_of_the_same_name_that_cannot_be_moved_is_to_be_removed(find):
    code, found = find({"gateway": GATEWAY, "alpha": {"args": []}, "other": {"command": "x"}})
    assert (code, list(found)) == (10, ["client-has-both", "client-has-more"])
    assert found["client-has-both"]["mend"] == "remove them there"


@pytest.mark.parametrize("entries", [{"gateway": GATEWAY}, {"alpha": {"command": "x"}}], ids=["alone", "without"])
def test_the_gateway_alone_or_a_program_without_it_is_well(find, entries):
    assert find(entries) == (0, {})


def test_a_file_that_the_program_itself_cannot_read_is_a_warning(find):
    code, found = find('{"mcpServers": [')
    assert (code, list(found)) == (10, ["client-file-broken"])


WORDS = ["-m", "mcp_gateway.main"]
BROKEN = {
    "no such program": ({"command": "/gone/mcp-gateway"}, "/gone/mcp-gateway is not there"),
    "not on the PATH": (
        {"command": "mcp-orchestration-gateway", "env": {"PATH": "/gone"}},
        "mcp-orchestration-gateway is not on its PATH",
    ),
    "not executable": ({"command": "{home}/mcp-orchestration-gateway"}, "{home}/mcp-orchestration-gateway may not be"),
    "behind a launcher": (
        {"command": "/usr/bin/env", "args": ["A=b", "/gone/mcp-gateway", "serve"]},
        "/gone/mcp-gateway is not there",
    ),
    "of a folder that was moved": (
        {"command": "{home}/bin/mcp-gateway"},
        "{home}/bin/mcp-gateway needs /gone/bin/python, which is not there",
    ),
    "a wrong verb": ({**GATEWAY, "args": [*WORDS, "serv"]}, "its arguments have 'serv', which does not serve"),
    "another verb": ({**GATEWAY, "args": [*WORDS, "list"]}, "its arguments have 'list', which does not serve"),
    "a wrong option": (
        {"command": str(Path(sys.executable).with_name("mcp-gateway")), "args": ["--confg=x"]},
        "its arguments are wrong: unknown option '--confg=x'",
    ),
    "a value that is missing": ({**GATEWAY, "args": [*WORDS, "serve", "--config"]}, "its arguments are wrong: "),
    "no such file": (
        {**GATEWAY, "env": {"SERVER_CONFIG_PATH": "{home}/gone.json"}},
        "its file of servers, {home}/gone.json, is not there",
    ),
    "no such file, as an option": (
        {**GATEWAY, "args": [*WORDS, "--config", "{home}/gone.json"]},
        "its file of servers, {home}/gone.json, is not there",
    ),
    "a folder": (
        {**GATEWAY, "env": {"SERVER_CONFIG_PATH": "{home}"}},
        "its file of servers, {home}, is no file",
    ),
}


@pytest.fixture
def write(home):
    """Write Cursor's file with an entry; return the entry as it is written."""
    (home / "bin").mkdir()
    (home / "bin" / "mcp-gateway").write_text("#!/gone/bin/python\nfrom mcp_gateway_cli.main import main\n")
    (home / "bin" / "mcp-gateway").chmod(0o755)
    (home / "mcp-orchestration-gateway").write_text("#!/bin/sh\n")
    (home / ".cursor").mkdir()

    def write_entry(entry):
        text = json.dumps({"mcpServers": {"gateway": entry}}).replace("{home}", str(home))
        (home / ".cursor" / "mcp.json").write_text(text, encoding="utf-8")
        return json.loads(text)["mcpServers"]["gateway"]

    return write_entry


@pytest.mark.parametrize("kind", BROKEN)
def test_an_entry_that_cannot_start_the_gateway_is_an_error_that_connect_mends(run, home, servers, write, kind):
    entry, said = BROKEN[kind]
    servers(ALPHA)
    write({"timeout": 5, **entry})
    code, out, _ = run("doctor", "--json")
    (found,) = [one for one in json.loads(out)["findings"] if one["subject"] == "~/.cursor/mcp.json"]
    assert (code, found["code"], found["severity"]) == (11, "client-gateway-broken", "error")
    assert found["message"].startswith("Cursor cannot start the gateway: " + said.replace("{home}", str(home)))
    assert found["mend"] == "mcp-orchestration-gateway connect cursor"
    assert run("connect", "cursor")[1].splitlines()[-1] == "Cursor has the gateway; restart it to use it"
    written = json.loads((home / ".cursor" / "mcp.json").read_bytes())["mcpServers"]
    assert (list(written), written["gateway"]["timeout"]) == (["gateway"], 5)
    assert not [one for one in json.loads(run("doctor", "--json")[1])["findings"] if one["code"] == found["code"]]


def test_of_a_program_that_cannot_start_the_gateway_it_is_not_said_that_it_does(find):
    _, found = find({"gateway": {"command": "/gone/mcp-gateway"}, "alpha": {"command": "x"}, "other": {"command": "x"}})
    assert list(found) == ["client-gateway-broken"]


@pytest.mark.parametrize("kind", ["no such program", "no such file", "a wrong verb"])
def test_init_mends_such_an_entry(run, home, servers, write, kind):
    servers(ALPHA)
    write(BROKEN[kind][0])
    (home / ".cursor" / "other").mkdir()
    own = home / "own.json"
    own.write_text(json.dumps({"servers": [ALPHA]}), encoding="utf-8")
    assert run("init", "--yes", "--no-try", "--config", str(own))[0] == 0
    written = json.loads((home / ".cursor" / "mcp.json").read_bytes())["mcpServers"]
    assert written["gateway"]["env"]["SERVER_CONFIG_PATH"] == str(own)
    assert describe_fault(written["gateway"], {}, Path()) == ""


@pytest.mark.parametrize(
    "entry",
    [
        GATEWAY,
        {**GATEWAY, "args": [*WORDS, "serve", "--transport", "stdio"]},
        {"command": "${userHome}/bin/mcp-gateway"},
        {**GATEWAY, "env": {"SERVER_CONFIG_PATH": "${userHome}/own.json"}},
        {"command": "docker", "args": ["run", "-i", "mcp-orchestration-gateway"]},
        {"command": Path(sys.executable).name, "args": WORDS, "env": {"PATH": str(Path(sys.executable).parent)}},
    ],
)
def test_an_entry_that_starts_it_or_that_only_its_program_can_follow_is_well(write, entry):
    assert describe_fault(write(entry), {}, Path()) == ""


def test_a_program_is_compared_with_the_file_that_its_entry_names(find, home):
    other = home / "other.json"
    other.write_text(json.dumps({"servers": [{"name": "q", "command": "q"}]}), encoding="utf-8")
    gateway = {**GATEWAY, "env": {"SERVER_CONFIG_PATH": str(other)}}
    _, found = find({"gateway": gateway, "alpha": {"command": "x"}})
    assert list(found) == ["client-has-more"]
    _, found = find({"gateway": gateway, "q": {"command": "q"}})
    assert "besides these of its servers: q;" in found["client-has-both"]["message"]
