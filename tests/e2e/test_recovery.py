"""Servers that fail are shown as such, cut off, tried by themselves, and back without anybody's doing."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from .support.gateways import GATEWAY, PLAIN, Json, Launcher, free_port, plain_entry, read_log, until
from .support.raw_clients import HttpClient, StdioClient


def notes(client: Any) -> list[str]:
    found = client.call("tool_search", {"query": "echo"})["result"]["structuredContent"]["servers"]
    return [str(note) for note in found]


def failure(client: Any, tool: str) -> str:
    answer: Json = client.call(tool)["result"]
    return str(answer["structuredContent"]["error"]) if answer.get("isError") else ""


def test_a_process_that_is_killed_is_started_again_without_a_call(launcher: Launcher, tmp_path: Path) -> None:
    log = tmp_path / "log"
    gateway = launcher.start_http(launcher.config(plain_entry("plain", log)))
    client = HttpClient(gateway.url, modern=True)
    pid = client.call("plain__whoami")["result"]["structuredContent"]["pid"]
    os.kill(int(pid), signal.SIGKILL)
    until(lambda: len(read_log(log, "start")) == 2, "the process is started again")
    until(lambda: notes(client) == [], "all is well again")


def test_a_process_that_never_comes_up_is_not_started_in_a_tight_loop(launcher: Launcher, tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    crash = f"import sys; open({str(starts)!r}, 'a').write('x'); sys.exit('no API key')"
    entry = {"name": "broken", "command": sys.executable, "args": ["-c", crash], "max_retries": 0}
    client = StdioClient(launcher.start([GATEWAY], launcher.environment(launcher.config(entry))), modern=True)
    said = until(lambda: [note for note in notes(client) if "broken: down since" in note], "it is down")[0]
    assert "it last wrote to standard error: no API key" in said
    until(lambda: "is down since" in failure(client, "broken__x"), "it is cut off")
    before = len(starts.read_text())
    for _ in range(20):
        assert "it is tried again by itself" in failure(client, "broken__x")
    assert len(starts.read_text()) <= before + 2


def test_a_server_over_http_that_goes_away_comes_back_by_itself(launcher: Launcher) -> None:
    port = str(free_port())
    url, server = launcher.start_plain_http("--port", port)
    config = launcher.config({"name": "plain", "url": url, "max_retries": 0})
    client = HttpClient(launcher.start_http(config).url, modern=True)
    assert not failure(client, "plain__whoami")
    server.end(signal.SIGKILL)
    until(lambda: "server 'plain' is down since" in failure(client, "plain__whoami"), "it is cut off")
    assert notes(client)[0].startswith("plain: down since ")
    launcher.start([sys.executable, str(PLAIN), "http", "--port", port], dict(os.environ))
    until(lambda: notes(client) == [], "it is ready again")
    assert not failure(client, "plain__whoami")


@pytest.mark.parametrize("tool, repeated", [("read", True), ("set", True), ("pay", False)])
def test_a_call_whose_connection_broke_is_repeated_only_if_that_is_safe(
    launcher: Launcher, tmp_path: Path, tool: str, repeated: bool
) -> None:
    entry = {"name": "plain", "command": sys.executable, "args": [str(PLAIN.with_name("dropping.py")), str(tmp_path)]}
    client = HttpClient(launcher.start_http(launcher.config(entry)).url, modern=True)
    until(lambda: notes(client) == [], "it is ready")
    said = failure(client, f"plain__{tool}")
    if repeated:
        assert said == ""
        assert (tmp_path / tool).read_text() == "xx"
    else:
        assert "whether the request was carried out is not known" in said
        assert (tmp_path / tool).read_text() == "x"


def test_the_command_line_says_how_every_server_is_doing(launcher: Launcher) -> None:
    config = launcher.config(
        plain_entry("plain"),
        {"name": "gone", "url": f"http://127.0.0.1:{free_port()}/mcp", "max_retries": 0},
        plain_entry("off", enabled=False),
    )
    done = launcher.run("servers", "--start", config=config)
    assert done.returncode == 1
    assert [line.split()[:2] for line in done.stdout.splitlines()[:3]] == [
        ["plain", "ready"],
        ["gone", "down"],
        ["off", "off"],
    ]
