"""What a person sees who has configured nothing yet."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from mcp_gateway_cli.commands.gateway import serve
from mcp_gateway_cli.output.overview import GROUPS
from mcp_gateway_cli.verbs import VERBS

from mcp_gateway.control.commands import CORE_COMMANDS

INIT = "mcp-orchestration-gateway init"


@pytest.fixture
def nothing(installed, monkeypatch, tmp_path):
    """Configure nothing: no file of servers is anywhere."""
    monkeypatch.delenv("SERVER_CONFIG_PATH", raising=False)
    folder = tmp_path / "empty"
    folder.mkdir(mode=0o700)  # one that others may read is no runtime folder
    monkeypatch.chdir(folder)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(folder))


@pytest.fixture
def typed(monkeypatch):
    """Let a person be at the terminal; return the starts of serving."""
    reading, writing = os.openpty()
    starts = []
    monkeypatch.setattr(serve, "serve", lambda context: starts.append(context.environment.server_transport) or 0)
    with os.fdopen(writing, encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        yield starts
    os.close(reading)


def test_the_program_alone_says_where_to_start(run, nothing, typed):
    code, out, err = run()
    assert (code, err, typed) == (0, "", [])
    assert f"Start here:\n  {INIT}\n" in out
    assert "\x1b" not in out


def test_who_says_how_to_serve_is_served_at_a_terminal_too(run, nothing, typed, monkeypatch):
    assert run("serve")[0] == 0
    assert run("--transport", "http")[0] == 0
    monkeypatch.setenv("GATEWAY_TRANSPORT", "http")
    assert run()[0] == 0
    assert typed == ["stdio", "http", "http"]


def test_without_a_terminal_the_program_serves(run, nothing, monkeypatch):
    starts = []
    monkeypatch.setattr(serve, "serve", lambda _: starts.append(1) or 0)
    assert run() == (0, "", "")
    assert starts == [1]


VERBS_WITHOUT_SERVERS = {
    ("search", "time"): 0,
    ("tools",): 0,
    ("list",): 0,
    ("servers", "--start"): 0,
    ("check",): 0,
    ("pins",): 0,
    ("status",): 1,
    ("servers",): 1,
    ("describe", "time__now"): 1,
    ("call", "time__now"): 1,
    ("call", "x"): 1,
    ("doctor", "--seconds", "1"): 10,
}


@pytest.mark.parametrize("words, expected", VERBS_WITHOUT_SERVERS.items(), ids=map(" ".join, VERBS_WITHOUT_SERVERS))
def test_without_servers_every_verb_says_where_to_start(run, nothing, words, expected):
    code, out, err = run(*words)
    assert (code, INIT in out + err) == (expected, True)
    assert "mcp-orchestration-gateway add NAME -- COMMAND" in out + err
    assert "tokens" not in out
    assert ("there is no such file" in out + err) is (words == ("check",))


@pytest.mark.parametrize("verb", ["check", "doctor", "list"])
def test_without_a_file_the_whole_path_of_the_one_to_be_written_is_named(run, nothing, verb):
    _, out, err = run(verb)
    assert str(Path.cwd() / "mcp-orchestration-gateway" / "server_config.json") in out + err
    assert " server_config.json" not in out + err


@pytest.mark.parametrize("verb", ["check", "doctor", "list", "tools"])
def test_a_folder_in_place_of_the_file_is_said(run, nothing, verb):
    path = Path.cwd() / "mcp-orchestration-gateway" / "server_config.json"
    path.mkdir(parents=True)
    code, out, err = run(verb)
    assert (code > 0, f"{path}: it" in out + err, "it is a folder" in out + err) == (True, True, True)


def test_programs_get_json_of_no_servers(run, nothing):
    assert json.loads(run("search", "time", "--json")[1])["tools"] == []
    assert json.loads(run("tools", "--json")[1])["tools"] == []
    assert json.loads(run("call", "time__now", "--json")[1])["success"] is False


def test_the_help_begins_with_where_to_start(run):
    _, out, _ = run("--help")
    lines = out.splitlines()
    assert lines[lines.index("start here:") + 1].startswith("  init ")
    titles = [line.rstrip(":") for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert titles[:5] == ["start here", "servers", "tools", "gateway", "plugins"]
    assert lines[lines.index("examples:") + 1] == f"  {INIT}"


def test_every_verb_is_in_one_group():
    grouped = [verb for verbs in GROUPS.values() for verb in verbs]
    of_plugins = {"login", "logout", "secret"}
    assert sorted(grouped) == sorted({*of_plugins, *(command.name for command in (*VERBS, *CORE_COMMANDS))})
