"""Servers that end when their first message is not `initialize`, as those on older Rust SDKs do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .support.gateways import GATEWAY, Launcher, until
from .support.raw_clients import HttpClient, Json, StdioClient

SERVER = Path(__file__).parent / "servers" / "initialize_only.py"


def entry(name: str, starts: Path, *options: str, **keys: object) -> Json:
    return {"name": name, "command": sys.executable, "args": [str(SERVER), str(starts), *options], **keys}


@pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])
@pytest.mark.parametrize("transport", ["stdio", "http"])
@pytest.mark.parametrize("options", [(), ("--answer",), ("--seconds", "0.3")], ids=["silent", "error", "late"])
def test_it_is_started_again_and_served(
    launcher: Launcher, tmp_path: Path, options: tuple[str, ...], transport: str, modern: bool
) -> None:
    starts = tmp_path / "starts"
    config = launcher.config(entry("ending", starts, *options))
    if transport == "http":
        client: HttpClient | StdioClient = HttpClient(launcher.start_http(config).url, modern=modern)
    else:
        client = StdioClient(launcher.start([GATEWAY], launcher.environment(config)), modern=modern)
    assert client.call("ending__echo")["result"]["content"] == [{"type": "text", "text": "done"}]
    # The first process got `server/discover`, each later one `initialize`.
    methods = starts.read_text().split()
    assert methods[:2] == ["server/discover", "initialize"]
    assert set(methods[1:]) == {"initialize"}


def test_the_next_session_begins_with_initialize(launcher: Launcher, tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    config = launcher.config(entry("ending", starts, connection_mode="stateful"))
    gateway = launcher.start_http(config)
    gateway.wait_for("discovered")
    for _ in range(2):
        assert "result" in HttpClient(gateway.url, modern=False).call("ending__echo")
    until(lambda: len(starts.read_text().split()) >= 3, "each client has a process of its own")
    assert starts.read_text().split().count("server/discover") == 1


def test_that_is_remembered_over_a_restart(launcher: Launcher, tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    config = launcher.config(entry("ending", starts))
    for _ in range(2):
        gateway = launcher.start_http(config)
        assert "result" in HttpClient(gateway.url, modern=True).call("ending__echo")
        gateway.end()
    assert starts.read_text().split() == ["server/discover", "initialize", "initialize"]


def test_a_check_that_connects_takes_it(launcher: Launcher, tmp_path: Path) -> None:
    checked = launcher.run("check", "--connect", config=launcher.config(entry("ending", tmp_path / "starts")))
    assert checked.returncode == 0, checked
    assert "1 tool" in checked.stdout
