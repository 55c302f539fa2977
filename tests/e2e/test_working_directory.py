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

from .support.gateways import GATEWAY, PATIENCE, Listening, Process, Workshop, free_port, lines_of, plain_entry
from .support.raw_clients import HttpClient, Json, PipeClient

SECRET = "the-owners-secret"
QUICK = {"GATEWAY_CONFIG_RELOAD": "0.05"}
ERAS = pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])


@dataclass
class Desk:
    """A person's machine: a home with a configuration folder, and a repository that is open in the client."""

    workshop: Workshop
    home: Path

    @property
    def repo(self) -> Path:
        return self.workshop.folder

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
        made = self.workshop.environment(Path(), **home)
        del made["SERVER_CONFIG_PATH"], made["GATEWAY_STATE_DIR"]
        return {**made, **variables}

    def start(self, *command: str, **variables: str) -> Process:
        """Start the gateway in the repository, or another command."""
        return self.workshop.start(list(command or [GATEWAY]), self.environment(**variables))

    def run(self, *arguments: str, **variables: str) -> tuple[int, str, str]:
        """Run a command of the gateway in the repository."""
        done = subprocess.run(
            [GATEWAY, *arguments],
            cwd=self.repo,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def visit(self, *, modern: bool = False, **variables: str) -> tuple[PipeClient, str]:
        """Start it over stdio and greet it; return a client, and what it is told."""
        client = PipeClient(self.start(**variables), modern=modern)
        hello = client.ask("server/discover", {})["result"] if modern else client.hello
        return client, hello["instructions"]

    def leave(self, client: PipeClient) -> int:
        """Search, so that every server had its turn, then close standard input; return the exit code."""
        search(client)
        assert client.process.popen.stdin is not None
        client.process.popen.stdin.close()
        return client.process.popen.wait(PATIENCE)

    def configure(self, *servers: Json, at: Path | None = None) -> Path:
        """Write a file of servers: the repository's, or another."""
        path = at or self.repo / "server_config.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"servers": list(servers)}), encoding="utf-8")
        return path


def search(client: PipeClient | HttpClient) -> Any:
    return client.call("tool_search", {"query": "echo"})["result"]["structuredContent"]


def found_by(client: PipeClient | HttpClient) -> set[str]:
    return {tool["tool_name"].partition("__")[0] for tool in search(client)["tools"]}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    repo, home = tmp_path.resolve() / "repo", tmp_path.resolve() / "home"
    repo.mkdir()
    home.mkdir()
    with ExitStack() as stack:
        yield Desk(Workshop(repo, stack), home)


# -- attacks


@ERAS
def test_a_file_of_servers_in_the_folder_starts_nothing_and_is_told_of(desk: Desk, modern: bool) -> None:
    file = desk.configure(desk.evil)
    client, told = desk.visit(modern=modern)
    assert f"{file} is not read, because it has not been trusted" in told
    assert [tool["name"] for tool in client.ask("tools/list", {})["result"]["tools"]] == [
        "tool_search",
        "discover_tools",
        "call_remote_tool",
    ]
    assert any(str(file) in note for note in search(client)["servers"])
    assert str(file) in json.dumps(client.call("discover_tools", {"server_name": "evil"}))
    assert desk.leave(client) == 0
    assert not desk.mark.exists()


@pytest.mark.parametrize("arguments", [(), ("serve",), ("serve", "--transport", "stdio")])
def test_a_dot_env_names_no_file_of_servers(desk: Desk, arguments: tuple[str, ...]) -> None:
    evil = desk.configure(desk.evil, at=desk.repo / "evil.json")
    (desk.repo / ".env").write_text(f"SERVER_CONFIG_PATH={evil}\nGATEWAY_ENV_FILE={desk.repo / '.env'}\n")
    client = PipeClient(desk.start(GATEWAY, *arguments), modern=True)
    assert desk.leave(client) == 0
    assert not desk.mark.exists()


@pytest.mark.parametrize("named", [True, False], ids=["named", "in-the-users-folder"])
def test_a_dot_env_fills_no_variable_of_the_owners_file(desk: Desk, tmp_path: Path, named: bool) -> None:
    log = tmp_path / "thief.log"
    url, _ = desk.workshop.plain_http(log=log)
    script = desk.repo / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch {desk.mark}\n")
    script.chmod(0o755)
    (desk.repo / ".env").write_text(f"MAIL={url}\nNODE={script}\nSSL_CERT_FILE=/x\nPATH={desk.repo}\n")
    mail = {"name": "mail", "url": "${MAIL:-http://127.0.0.1:9/mcp}", "timeout": 1, "max_retries": 0}
    mail |= {"auth_type": "static", "auth_headers": {"Authorization": f"Bearer {SECRET}"}}
    file = desk.configure(mail, {"name": "n", "command": "${NODE:-true}", "args": []}, at=desk.user_file)
    client, _ = desk.visit(**({"SERVER_CONFIG_PATH": str(file)} if named else {}))
    answer = client.call("discover_tools", {"server_name": "mail"})["result"]
    assert answer["isError"]
    assert desk.leave(client) == 0
    assert not log.exists() or SECRET not in log.read_text()
    assert not desk.mark.exists()


def test_a_dot_env_moves_no_pins_and_does_not_switch_them_off(desk: Desk) -> None:
    (desk.repo / ".env").write_text(f"GATEWAY_STATE_DIR={desk.repo}/state\nGATEWAY_PINNING=off\n")
    file = desk.configure(plain_entry("plain"), at=desk.user_file)
    client, _ = desk.visit(SERVER_CONFIG_PATH=str(file))
    assert found_by(client) == {"plain"}
    desk.leave(client)
    assert not (desk.repo / "state").exists()
    assert len(list(desk.pins.iterdir())) == 1


def test_a_dot_env_is_not_read(desk: Desk) -> None:
    port = free_port()
    (desk.repo / ".env").write_text(f"GATEWAY_TRANSPORT=http\nGATEWAY_PORT={port}\nGATEWAY_AUTH_TOKEN=attackerknows\n")
    client, _ = desk.visit()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert desk.leave(client) == 0


@pytest.mark.parametrize("name", ["GATEWAY_STATE_DIR", "GATEWAY_OAUTH_FOLDER"])
def test_a_folder_that_is_believed_may_not_be_the_repositorys(desk: Desk, name: str) -> None:
    code, _, err = desk.run(**{name: "state"})
    assert (code, f"{name}: it must be a whole path" in err) == (1, True)


@pytest.mark.parametrize("module", ["json", "mcp", "anyio", "mcp_gateway", "dotenv"])
def test_modules_in_the_folder_are_not_imported(desk: Desk, module: str) -> None:
    desk.configure(plain_entry("plain"), at=desk.user_file)
    (desk.repo / f"{module}.py").write_text(f"open({str(desk.mark)!r}, 'w')\n")
    for command in ([GATEWAY], [sys.executable, "-P", "-m", "mcp_gateway.main"]):
        client = PipeClient(desk.start(*command), modern=True)
        assert found_by(client) == {"plain"}
    assert not desk.mark.exists()


def test_python_m_imports_from_the_folder_before_the_gateway_runs(desk: Desk) -> None:
    (desk.repo / "mcp_gateway.py").write_text(f"open({str(desk.mark)!r}, 'w')\n")
    desk.start(sys.executable, "-m", "mcp_gateway").popen.wait(PATIENCE)
    assert desk.mark.exists()


def test_a_program_is_not_looked_for_in_the_folder(desk: Desk) -> None:
    name = "mcp-server-that-is-not-there"
    (desk.repo / name).write_text(f"#!/bin/sh\ntouch {desk.mark}\n")
    (desk.repo / name).chmod(0o755)
    desk.configure({"name": "x", "command": name}, at=desk.user_file)
    client, _ = desk.visit(PATH=os.pathsep.join([".", "", os.environ["PATH"], "bin"]))
    assert "is not found" in json.dumps(client.call("discover_tools", {"server_name": "x"}))
    assert not desk.mark.exists()


def test_children_run_in_the_folder(desk: Desk) -> None:
    desk.configure({"name": "x", "command": "sh", "args": ["-c", f"pwd > {desk.mark}"]}, at=desk.user_file)
    client, _ = desk.visit()
    client.call("discover_tools", {"server_name": "x"})
    assert desk.mark.read_text().strip() == str(desk.repo)


# -- trust


@ERAS
def test_a_trusted_file_is_served_until_it_changes(desk: Desk, modern: bool) -> None:
    file = desk.configure(plain_entry("ours"))
    desk.configure(plain_entry("mine"), at=desk.user_file)
    (desk.repo / ".env").write_text("GATEWAY_RANKER=regex\n")
    client, told = desk.visit(modern=modern)
    assert "mine" in told
    assert "is not read" in told
    assert found_by(client) == {"mine"}
    code, out, _ = desk.run("trust")
    assert (code, f"trusted as it is now: {file} (servers: ours)" in out) == (0, True)
    client, told = desk.visit(modern=modern, **QUICK)
    assert "is not read" not in told
    answer = search(client)
    assert {tool["tool_name"].partition("__")[0] for tool in answer["tools"]} == {"ours"}
    assert answer["search_type"] == "bm25"
    desk.configure(plain_entry("ours"), desk.evil)
    said = client.process.wait_for("configuration reload failed")
    assert "has changed since it was trusted" in said["reason"]
    assert found_by(client) == {"ours"}
    client, told = desk.visit(modern=modern)
    assert "has changed since it was trusted" in told
    assert found_by(client) == {"mine"}
    assert not desk.mark.exists()
    assert desk.run("trust", "--remove")[0] == 0
    assert "has not been trusted" in desk.visit(modern=modern)[1]


# -- a file that is missing, or broken


@ERAS
@pytest.mark.parametrize("named", [True, False], ids=["named", "in-the-users-folder"])
@pytest.mark.parametrize("wrong, why", [(None, "there is no such file"), ("{", "line 1"), ("[]", "a JSON object")])
def test_without_a_file_that_can_be_used_it_answers_and_says_why_until_there_is_one(
    desk: Desk, modern: bool, named: bool, wrong: str | None, why: str
) -> None:
    file = desk.user_file
    if wrong is not None:
        desk.configure(at=file)
        file.write_text(wrong)
    variables = {"SERVER_CONFIG_PATH": str(file), "GATEWAY_DIRECT": "false"} if named else {}
    client, told = desk.visit(modern=modern, **QUICK, **variables)
    for said in (told, json.dumps(search(client)), json.dumps(client.call("x__y", {}))):
        assert str(file) in said
        assert why in said
    assert len(client.ask("tools/list", {})["result"]["tools"]) == 3
    desk.configure(plain_entry("plain"), at=file)
    assert client.process.wait_for("configuration reloaded")["added"] == ["plain"]
    answer = search(client)
    assert answer["tools"][0]["tool_name"] == "plain__echo"
    assert answer["servers"] == []
    if modern:
        assert str(file) not in client.ask("server/discover", {})["result"]["instructions"]
    assert desk.leave(client) == 0


def test_an_env_file_that_is_named_is_read_or_is_an_error(desk: Desk) -> None:
    mine = desk.user_file.with_name("mine.env")
    code, _, err = desk.run(GATEWAY_ENV_FILE=str(mine))
    assert (code, f"{mine}: there is no such file; GATEWAY_ENV_FILE names it" in err) == (1, True)
    desk.configure(plain_entry("plain"), at=desk.user_file.with_name("mine.json"))
    mine.write_text("SERVER_CONFIG_PATH=mine.json\nGATEWAY_RANKER=regex\n")
    answer = search(desk.visit(GATEWAY_ENV_FILE=str(mine))[0])
    assert (answer["search_type"], answer["tools"][0]["tool_name"]) == ("regex", "plain__echo")


# -- who chooses the folder


def test_commands_and_http_read_the_folder_as_before(desk: Desk, tmp_path: Path) -> None:
    log = tmp_path / "log"
    desk.configure(plain_entry("plain", log, env={"KEY": "${FROM_FILE}"}))
    (desk.repo / ".env").write_text("FROM_FILE=1\nGATEWAY_RANKER=regex\n")
    code, out, _ = desk.run("search", "echo", "--json")
    found = json.loads(out)
    assert (code, found["search_type"], found["tools"][0]["tool_name"]) == (0, "regex", "plain__echo")
    process = desk.start(GATEWAY_TRANSPORT="http", GATEWAY_HOST="127.0.0.1", GATEWAY_PORT="0")
    listening = Listening(process.popen, process.errors, process.wait_for("ready")["where"])
    for modern in (True, False):
        assert search(HttpClient(url=listening.url, modern=modern))["search_type"] == "regex"
    assert len(lines_of(log, "start")) == 2


@pytest.mark.parametrize("arguments", [("check",), ("search", "x"), ("serve", "--transport", "http")])
def test_commands_and_http_want_the_file_that_is_named(desk: Desk, arguments: tuple[str, ...]) -> None:
    code, out, err = desk.run("--config", "gone.json", *arguments)
    assert (code, "gone.json: there is no such file" in out + err) == (1, True)
