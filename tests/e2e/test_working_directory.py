"""The working directory as an attacker: clients start the gateway in whatever folder a person has open."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .support.gateways import GATEWAY, WAIT_SECONDS, HttpGateway, Launcher, Process, free_port, plain_entry, read_log
from .support.raw_clients import HttpClient, Json, StdioClient

SECRET = "the-owners-secret"
QUICK = {"GATEWAY_CONFIG_RELOAD": "0.05"}
ERAS = pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])


@dataclass
class Workspace:
    """A person's machine: a home with a configuration folder, and a repository that is open in the client."""

    launcher: Launcher
    home: Path

    @property
    def repo(self) -> Path:
        return self.launcher.folder

    @property
    def mark(self) -> Path:
        return self.home / "MARK"

    @property
    def user_file(self) -> Path:
        return self.home / "config" / "mcp-orchestration-gateway" / "server_config.json"

    @property
    def pins(self) -> Path:
        return self.home / "state" / "mcp-orchestration-gateway" / "pins"

    @property
    def evil(self) -> Json:
        """An entry that leaves a mark when it is started."""
        return {"name": "evil", "command": "sh", "args": ["-c", f"touch {self.mark}"]}

    def environment(self, **variables: str) -> dict[str, str]:
        """Return what a client gives to the gateway."""
        home = {"XDG_CONFIG_HOME": str(self.home / "config"), "XDG_STATE_HOME": str(self.home / "state")}
        made = self.launcher.environment(Path(), **home)
        del made["SERVER_CONFIG_PATH"], made["GATEWAY_STATE_DIR"]
        return {**made, **variables}

    def start(self, *command: str, **variables: str) -> Process:
        """Start the gateway in the repository, or another command."""
        return self.launcher.start(list(command or [GATEWAY]), self.environment(**variables))

    def run(self, *arguments: str, **variables: str) -> tuple[int, str, str]:
        """Run a command of the gateway in the repository."""
        done = subprocess.run(
            [GATEWAY, *arguments],
            cwd=self.repo,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def connect(self, *, modern: bool = False, **variables: str) -> tuple[StdioClient, str]:
        """Start it over stdio and connect; return a client, and its instructions."""
        client = StdioClient(self.start(**variables), modern=modern)
        hello = client.ask("server/discover", {})["result"] if modern else client.handshake_result
        return client, hello["instructions"]

    def close(self, client: StdioClient) -> int:
        """Search, so that every server had its turn, then close standard input; return the exit code."""
        search(client)
        assert client.process.popen.stdin is not None
        client.process.popen.stdin.close()
        return client.process.popen.wait(WAIT_SECONDS)

    def configure(self, *servers: Json, at: Path | None = None) -> Path:
        """Write a file of servers: the repository's, or another."""
        path = at or self.repo / "server_config.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"servers": list(servers)}), encoding="utf-8")
        return path


def search(client: StdioClient | HttpClient) -> Any:
    return client.call("tool_search", {"query": "echo"})["result"]["structuredContent"]


def found_by(client: StdioClient | HttpClient) -> set[str]:
    return {tool["tool_name"].partition("__")[0] for tool in search(client)["tools"]}


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    repo, home = tmp_path.resolve() / "repo", tmp_path.resolve() / "home"
    repo.mkdir()
    home.mkdir()
    with ExitStack() as stack:
        yield Workspace(Launcher(repo, stack), home)


# -- attacks


@ERAS
def test_a_file_of_servers_in_the_folder_starts_nothing_and_is_mentioned(workspace: Workspace, modern: bool) -> None:
    file = workspace.configure(workspace.evil)
    client, told = workspace.connect(modern=modern)
    assert f"{file} is not read, because it has not been trusted" in told
    assert [tool["name"] for tool in client.ask("tools/list", {})["result"]["tools"]] == [
        "tool_search",
        "discover_tools",
        "call_remote_tool",
    ]
    assert any(str(file) in note for note in search(client)["servers"])
    assert str(file) in json.dumps(client.call("discover_tools", {"server_name": "evil"}))
    assert workspace.close(client) == 0
    assert not workspace.mark.exists()


@pytest.mark.parametrize("arguments", [(), ("serve",), ("serve", "--transport", "stdio")])
def test_a_dot_env_names_no_file_of_servers(workspace: Workspace, arguments: tuple[str, ...]) -> None:
    evil = workspace.configure(workspace.evil, at=workspace.repo / "evil.json")
    (workspace.repo / ".env").write_text(f"SERVER_CONFIG_PATH={evil}\nGATEWAY_ENV_FILE={workspace.repo / '.env'}\n")
    client = StdioClient(workspace.start(GATEWAY, *arguments), modern=True)
    assert workspace.close(client) == 0
    assert not workspace.mark.exists()


@pytest.mark.parametrize("named", [True, False], ids=["named", "in-the-users-folder"])
def test_a_dot_env_fills_no_variable_of_the_owners_file(workspace: Workspace, tmp_path: Path, named: bool) -> None:
    log = tmp_path / "thief.log"
    url, _ = workspace.launcher.start_plain_http(log=log)
    script = workspace.repo / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch {workspace.mark}\n")
    script.chmod(0o755)
    (workspace.repo / ".env").write_text(f"MAIL={url}\nNODE={script}\nSSL_CERT_FILE=/x\nPATH={workspace.repo}\n")
    mail = {"name": "mail", "url": "${MAIL:-http://127.0.0.1:9/mcp}", "timeout": 1, "max_retries": 0}
    mail |= {"auth_type": "static", "auth_headers": {"Authorization": f"Bearer {SECRET}"}}
    file = workspace.configure(mail, {"name": "n", "command": "${NODE:-true}", "args": []}, at=workspace.user_file)
    client, _ = workspace.connect(**({"SERVER_CONFIG_PATH": str(file)} if named else {}))
    answer = client.call("discover_tools", {"server_name": "mail"})["result"]
    assert answer["isError"]
    assert workspace.close(client) == 0
    assert not log.exists() or SECRET not in log.read_text()
    assert not workspace.mark.exists()


def test_a_dot_env_moves_no_pins_and_does_not_switch_them_off(workspace: Workspace) -> None:
    (workspace.repo / ".env").write_text(f"GATEWAY_STATE_DIR={workspace.repo}/state\nGATEWAY_PINNING=off\n")
    file = workspace.configure(plain_entry("plain"), at=workspace.user_file)
    client, _ = workspace.connect(SERVER_CONFIG_PATH=str(file))
    assert found_by(client) == {"plain"}
    workspace.close(client)
    assert not (workspace.repo / "state").exists()
    assert len(list(workspace.pins.iterdir())) == 1


def test_a_dot_env_is_not_read(workspace: Workspace) -> None:
    port = free_port()
    (workspace.repo / ".env").write_text(
        f"GATEWAY_TRANSPORT=http\nGATEWAY_PORT={port}\nGATEWAY_AUTH_TOKEN=attackerknows\n"
    )
    client, _ = workspace.connect()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert workspace.close(client) == 0


@pytest.mark.parametrize("name", ["GATEWAY_STATE_DIR", "GATEWAY_OAUTH_FOLDER"])
def test_a_folder_that_is_believed_may_not_be_the_repositorys(workspace: Workspace, name: str) -> None:
    code, _, err = workspace.run(**{name: "state"})
    assert (code, f"{name}: it must be a whole path" in err) == (1, True)


@pytest.mark.parametrize("module", ["json", "mcp", "anyio", "mcp_gateway", "dotenv"])
def test_modules_in_the_folder_are_not_imported(workspace: Workspace, module: str) -> None:
    workspace.configure(plain_entry("plain"), at=workspace.user_file)
    (workspace.repo / f"{module}.py").write_text(f"open({str(workspace.mark)!r}, 'w')\n")
    for command in ([GATEWAY], [sys.executable, "-P", "-m", "mcp_gateway.main"]):
        client = StdioClient(workspace.start(*command), modern=True)
        assert found_by(client) == {"plain"}
    assert not workspace.mark.exists()


def test_python_m_imports_from_the_folder_before_the_gateway_runs(workspace: Workspace) -> None:
    (workspace.repo / "mcp_gateway.py").write_text(f"open({str(workspace.mark)!r}, 'w')\n")
    workspace.start(sys.executable, "-m", "mcp_gateway").popen.wait(WAIT_SECONDS)
    assert workspace.mark.exists()


def test_a_program_is_not_looked_for_in_the_folder(workspace: Workspace) -> None:
    name = "mcp-server-that-is-not-there"
    (workspace.repo / name).write_text(f"#!/bin/sh\ntouch {workspace.mark}\n")
    (workspace.repo / name).chmod(0o755)
    workspace.configure({"name": "x", "command": name}, at=workspace.user_file)
    client, _ = workspace.connect(PATH=os.pathsep.join([".", "", os.environ["PATH"], "bin"]))
    assert "is not found" in json.dumps(client.call("discover_tools", {"server_name": "x"}))
    assert not workspace.mark.exists()


def test_children_run_in_the_folder(workspace: Workspace) -> None:
    workspace.configure(
        {"name": "x", "command": "sh", "args": ["-c", f"pwd > {workspace.mark}"]}, at=workspace.user_file
    )
    client, _ = workspace.connect()
    client.call("discover_tools", {"server_name": "x"})
    assert workspace.mark.read_text().strip() == str(workspace.repo)


# -- trust


@ERAS
def test_a_trusted_file_is_served_until_it_changes(workspace: Workspace, modern: bool) -> None:
    file = workspace.configure(plain_entry("ours"))
    workspace.configure(plain_entry("mine"), at=workspace.user_file)
    (workspace.repo / ".env").write_text("GATEWAY_RANKER=regex\n")
    client, told = workspace.connect(modern=modern)
    assert "mine" in told
    assert "is not read" in told
    assert found_by(client) == {"mine"}
    code, out, _ = workspace.run("trust")
    assert (code, f"trusted as it is now: {file} (servers: ours)" in out) == (0, True)
    client, told = workspace.connect(modern=modern, **QUICK)
    assert "is not read" not in told
    answer = search(client)
    assert {tool["tool_name"].partition("__")[0] for tool in answer["tools"]} == {"ours"}
    assert answer["search_type"] == "bm25"
    workspace.configure(plain_entry("ours"), workspace.evil)
    said = client.process.wait_for("configuration reload failed")
    assert "has changed since it was trusted" in said["reason"]
    assert found_by(client) == {"ours"}
    client, told = workspace.connect(modern=modern)
    assert "has changed since it was trusted" in told
    assert found_by(client) == {"mine"}
    assert not workspace.mark.exists()
    assert workspace.run("trust", "--remove")[0] == 0
    assert "has not been trusted" in workspace.connect(modern=modern)[1]


# -- a file that is missing, or broken


@ERAS
@pytest.mark.parametrize("named", [True, False], ids=["named", "in-the-users-folder"])
@pytest.mark.parametrize("wrong, why", [(None, "there is no such file"), ("{", "line 1"), ("[]", "a JSON object")])
def test_without_a_file_that_can_be_used_it_answers_and_says_why_until_there_is_one(
    workspace: Workspace, modern: bool, named: bool, wrong: str | None, why: str
) -> None:
    file = workspace.user_file
    if wrong is not None:
        workspace.configure(at=file)
        file.write_text(wrong)
    variables = {"SERVER_CONFIG_PATH": str(file)} if named else {}
    client, told = workspace.connect(modern=modern, **QUICK, **variables)
    for said in (told, json.dumps(search(client)), json.dumps(client.call("x__y", {}))):
        assert str(file) in said
        assert why in said
    assert len(client.ask("tools/list", {})["result"]["tools"]) == 3
    workspace.configure(plain_entry("plain"), at=file)
    assert client.process.wait_for("configuration reloaded")["added"] == ["plain"]
    answer = search(client)
    assert answer["tools"][0]["tool_name"] == "plain__echo"
    assert answer["servers"] == []
    if modern:
        assert str(file) not in client.ask("server/discover", {})["result"]["instructions"]
    assert workspace.close(client) == 0


def test_an_env_file_that_is_named_is_read_or_is_an_error(workspace: Workspace) -> None:
    mine = workspace.user_file.with_name("mine.env")
    code, _, err = workspace.run(GATEWAY_ENV_FILE=str(mine))
    assert (code, f"{mine}: there is no such file; GATEWAY_ENV_FILE names it" in err) == (1, True)
    workspace.configure(plain_entry("plain"), at=workspace.user_file.with_name("mine.json"))
    mine.write_text("SERVER_CONFIG_PATH=mine.json\nGATEWAY_RANKER=regex\n")
    answer = search(workspace.connect(GATEWAY_ENV_FILE=str(mine))[0])
    assert (answer["search_type"], answer["tools"][0]["tool_name"]) == ("regex", "plain__echo")


# -- who chooses the folder


def test_commands_and_http_read_the_folder_as_before(workspace: Workspace, tmp_path: Path) -> None:
    log = tmp_path / "log"
    workspace.configure(plain_entry("plain", log, env={"KEY": "${FROM_FILE}"}))
    (workspace.repo / ".env").write_text("FROM_FILE=1\nGATEWAY_RANKER=regex\n")
    code, out, _ = workspace.run("search", "echo", "--json")
    found = json.loads(out)
    assert (code, found["search_type"], found["tools"][0]["tool_name"]) == (0, "regex", "plain__echo")
    process = workspace.start(GATEWAY_TRANSPORT="http", GATEWAY_HOST="127.0.0.1", GATEWAY_PORT="0")
    listening = HttpGateway(process.popen, process.errors, process.wait_for("ready")["where"])
    for modern in (True, False):
        assert search(HttpClient(url=listening.url, modern=modern))["search_type"] == "regex"
    assert len(read_log(log, "start")) == 2


@pytest.mark.parametrize("arguments", [("check",), ("search", "x"), ("serve", "--transport", "http")])
def test_commands_and_http_want_the_file_that_is_named(workspace: Workspace, arguments: tuple[str, ...]) -> None:
    code, out, err = workspace.run("--config", "gone.json", *arguments)
    assert (code, "gone.json: there is no such file" in out + err) == (1, True)
