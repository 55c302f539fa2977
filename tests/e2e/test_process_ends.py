"""Whatever servers do and however the gateway ends, nothing of it stays."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .support.gateways import GATEWAY, WAIT_SECONDS, Launcher, Process, is_alive, until
from .support.raw_clients import HttpClient, StdioClient

STUBBORN = """
import json, os, signal, subprocess, sys, time

mode, pids = sys.argv[1:]
started = []
if mode in ("ignores", "hangs"):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
if mode == "daemon":
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            with open(pids, "a") as file:
                file.write(f"{os.getpid()}\\n")
            os.closerange(0, 3)
            time.sleep(600)
        os._exit(0)
else:
    started.append(subprocess.Popen(["sleep", "600"], start_new_session=mode == "session").pid)
with open(pids, "a") as file:
    file.write("".join(f"{pid}\\n" for pid in (os.getpid(), *started)))
if mode == "starts":
    time.sleep(600)
for line in sys.stdin:
    message = json.loads(line)
    method = message.get("method")
    if method == "tools/call":
        with open(pids, "a") as file:
            file.write(f"{os.getpid()}\\n")
    if "id" not in message or (mode, method) in (("lists", "tools/list"), ("hangs", "tools/call")):
        continue
    info = {"name": mode, "version": "1"}
    result = {
        "initialize": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info},
        "tools/list": {"tools": [{"name": "t", "inputSchema": {"type": "object"}}]},
    }.get(method)
    answer = {"error": {"code": -32601, "message": "no"}} if result is None else {"result": result}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}), flush=True)
time.sleep(600)
"""
"""It writes down its process and what it has started, and is stubborn in one way; then it is deaf to its end."""

MODES = {"ignores": 2, "hangs": 2, "starts": 2, "lists": 2, "session": 2, "daemon": 2}
"""How many processes each has."""

ENDS = [
    ("stdio", "close", False),
    ("stdio", "SIGHUP", True),
    ("http", "SIGTERM", False),
    ("stdio", "SIGKILL", True),
    ("http", "SIGKILL", True),
]


def start(launcher: Launcher, folder: Path, transport: str, modern: bool) -> tuple[Process, Any, list[int]]:
    """Start a gateway in front of all of them, wrapped in a shell, too; wait until all have started."""
    script, pids = folder / "stubborn.py", folder / "pids"
    script.write_text(STUBBORN)
    own = [{"name": mode, "command": sys.executable, "args": [str(script), mode, str(pids)]} for mode in MODES]
    shell = f"{sys.executable} {script} ignores {pids}; true"
    config = launcher.config(*own, {"name": "wrapped", "command": "sh", "args": ["-c", shell]})
    if transport == "stdio":
        gateway = launcher.start([GATEWAY], launcher.environment(config))
        client: Any = StdioClient(process=gateway, modern=modern)
        client.ask("tools/list", {})
    else:
        listening = launcher.start_http(config)
        gateway, client = listening, HttpClient(url=listening.url, modern=modern)
    expected = sum(MODES.values()) + 2
    until(lambda: pids.exists() and len(pids.read_text().split()) == expected, "all servers start")
    return gateway, client, [int(pid) for pid in pids.read_text().split()]


@pytest.fixture
def _hangups() -> Iterator[None]:
    """Have hang-ups heard, as they are not by what nohup started."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("_hangups")
@pytest.mark.parametrize("transport, how, modern", ENDS)
def test_no_process_stays(launcher: Launcher, tmp_path: Path, transport: str, how: str, modern: bool) -> None:
    gateway, client, pids = start(launcher, tmp_path, transport, modern)
    assert "error" not in client.ask("tools/list", {})
    until(lambda: "success" in json.dumps(client.call("discover_tools", {"server_name": "hangs"})), "it is listed")
    call = client.begin("tools/call", {"name": "hangs__t", "arguments": {}})
    until(lambda: len((tmp_path / "pids").read_text().split()) > len(pids), "the server gets the call")
    if how == "close":
        assert gateway.popen.stdin is not None
        gateway.popen.stdin.close()
    else:
        gateway.popen.send_signal(signal.Signals[how])
    # 1 would say that it had to end itself because it took too long.
    assert gateway.popen.wait(WAIT_SECONDS) == (-signal.SIGKILL if how == "SIGKILL" else 0)
    if how == "SIGKILL":
        until(lambda: not any(map(is_alive, pids)), "all processes end")
    assert [pid for pid in pids if is_alive(pid)] == []
    if transport == "http":
        call.close()


def test_a_command_that_is_killed_leaves_no_process(launcher: Launcher, tmp_path: Path) -> None:
    script, pids = tmp_path / "stubborn.py", tmp_path / "pids"
    script.write_text(STUBBORN)
    config = launcher.config({"name": "one", "command": sys.executable, "args": [str(script), "starts", str(pids)]})
    checking = launcher.start([GATEWAY, "check", "--connect"], launcher.environment(config))
    started = until(lambda: pids.exists() and pids.read_text().split(), "the server starts")
    os.kill(checking.popen.pid, signal.SIGTERM)
    checking.popen.wait(WAIT_SECONDS)
    until(lambda: not any(is_alive(int(pid)) for pid in started), "all processes end")
