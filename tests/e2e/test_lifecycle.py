"""Start-up is immediate, one bad server harms nobody, and nothing is left behind at the end."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .support.gateways import GATEWAY, WAIT_SECONDS, Launcher, is_alive, plain_entry, read_log, until
from .support.raw_clients import INFO, HttpClient, StdioClient, add_envelope


def child_of(log: Path) -> int:
    return int(until(lambda: read_log(log, "start"), "the server starts")[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_a_signal_ends_the_gateway_and_its_children(
    launcher: Launcher, tmp_path: Path, number: int, transport: str
) -> None:
    log = tmp_path / "log"
    config = launcher.config(plain_entry("plain", log))
    if transport == "stdio":
        gateway = launcher.start([GATEWAY], launcher.environment(config))
    else:
        gateway = launcher.start_http(config)
    child = child_of(log)
    gateway.wait_for("discovered")
    assert gateway.end(number) == 0
    assert not is_alive(child)


@pytest.mark.parametrize("modern", [True, False])
def test_a_handshake_is_answered_once_and_what_is_sent_with_it_after_it(launcher: Launcher, modern: bool) -> None:
    gateway = launcher.start([GATEWAY], launcher.environment(launcher.config()))
    params: Any = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": INFO}
    first = ("server/discover", add_envelope({})) if modern else ("initialize", params)
    sent: list[Any] = [
        {"jsonrpc": "2.0", "id": "first", "method": first[0], "params": first[1]},
        *([] if modern else [{"jsonrpc": "2.0", "method": "notifications/initialized"}]),
        {"jsonrpc": "2.0", "id": "second", "method": "tools/list", "params": add_envelope({}) if modern else {}},
        {"jsonrpc": "2.0", "id": "first", "method": "prompts/list", "params": add_envelope({}) if modern else {}},
    ]
    assert gateway.popen.stdin is not None
    assert gateway.popen.stdout is not None
    gateway.popen.stdin.write("".join(f"{json.dumps(message)}\n" for message in sent))
    gateway.popen.stdin.flush()
    answers = [json.loads(gateway.popen.stdout.readline()) for _ in range(3)]
    assert [answer["id"] for answer in answers] == ["first", "second", "first"]
    assert [sorted(set(answer["result"]) & {"capabilities", "tools", "prompts"}) for answer in answers] == [
        ["capabilities"],
        ["tools"],
        ["prompts"],
    ]


@pytest.mark.parametrize("closed", ["stdin", "stdout"])
def test_a_client_that_closes_either_of_its_ends_ends_the_gateway_and_its_children(
    launcher: Launcher, tmp_path: Path, closed: str
) -> None:
    log = tmp_path / "log"
    gateway = launcher.start([GATEWAY], launcher.environment(launcher.config(plain_entry("plain", log))))
    child = child_of(log)
    getattr(gateway.popen, closed).close()
    assert gateway.popen.wait(WAIT_SECONDS) == 0
    assert not is_alive(child)


def test_a_child_that_ignores_the_end_of_its_input_is_ended_all_the_same(launcher: Launcher, tmp_path: Path) -> None:
    log = tmp_path / "pid"
    stubborn = f"import os, time; open({str(log)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    entry = {"name": "stubborn", "command": sys.executable, "args": ["-c", stubborn]}
    gateway = launcher.start([GATEWAY], launcher.environment(launcher.config(entry)))
    child = int(until(lambda: log.exists() and log.read_text(), "the child starts"))
    assert gateway.end() == 0
    assert not is_alive(child)


@pytest.mark.parametrize("modern", [True, False])
def test_files_in_the_place_of_pipes_are_served_alike(launcher: Launcher, tmp_path: Path, modern: bool) -> None:
    params: Any = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": INFO}
    envelope: Any = add_envelope({}) if modern else {}
    handshake: list[Any] = [
        {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
    ]
    sent = [
        *([] if modern else handshake),
        [{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": envelope}],
        {"jsonrpc": "2.0", "id": float("nan"), "method": "tools/list", "params": envelope},
        {"jsonrpc": "2.0", "id": 1.5, "method": "ping", "params": envelope},
    ]
    (tmp_path / "input").write_text("".join(f"{json.dumps(message)}\n" for message in sent), encoding="utf-8")
    environment = launcher.environment(launcher.config())
    with (tmp_path / "input").open() as reading, (tmp_path / "output").open("w") as writing:
        subprocess.run([GATEWAY], stdin=reading, stdout=writing, env=environment, timeout=WAIT_SECONDS, check=True)
    answers = [json.loads(line) for line in (tmp_path / "output").read_text(encoding="utf-8").splitlines()]
    found = {answer["id"]: answer.get("error", {}).get("code") for answer in answers}
    assert found == {**({} if modern else {0: None}), 1: None, None: -32600, 1.5: -32600}


def test_both_ways_to_start_it_speak_mcp(launcher: Launcher) -> None:
    config = launcher.config(plain_entry("plain"))
    for command in ([GATEWAY], [sys.executable, "-m", "mcp_gateway.main"], [sys.executable, "-m", "mcp_gateway"]):
        client = StdioClient(launcher.start(command, launcher.environment(config)), modern=False)
        assert client.call("plain__echo", {"n": 1})["result"]["structuredContent"]["arguments"] == {"n": 1}


def test_bad_servers_neither_delay_nor_stop_the_others(launcher: Launcher, tmp_path: Path) -> None:
    log = tmp_path / "log"
    bad = [
        {"name": "missing", "command": "no-such-command-anywhere"},
        {"name": "refusing", "url": "http://127.0.0.1:9/mcp"},
        {"name": "dying", "command": sys.executable, "args": ["-c", "import sys; sys.exit('no key given')"]},
        plain_entry("hanging", None, "--start-delay", "600"),
        {"name": "babbling", "command": sys.executable, "args": ["-c", "print('hello\\n{}\\n[1]'); input()"]},
    ]
    config = launcher.config(*bad, plain_entry("good", log))
    client = StdioClient(launcher.start([GATEWAY], launcher.environment(config)), modern=True)
    assert client.call("good__echo", {"n": 1})["result"]["structuredContent"]["arguments"] == {"n": 1}
    found = client.call("tool_search", {"query": "echo arguments"})["result"]["structuredContent"]
    assert found["tools"][0]["tool_name"] == "good__echo"
    notes = {note.partition(":")[0]: note for note in found["servers"]}
    assert "hanging: starting since" in notes["hanging"]
    assert "'no-such-command-anywhere' is not found; install it" in notes["missing"]

    def said(server: str, words: str) -> bool:
        answer = client.call("tool_search", {"query": "echo"})["result"]["structuredContent"]
        return any(note.startswith(f"{server}: down") and words in note for note in answer["servers"])

    until(lambda: said("dying", "no key given"), "the last words of a dying server are told")
    until(lambda: said("refusing", "it refuses connections"), "a refused connection is told")


def test_the_handshake_does_not_wait_for_servers(launcher: Launcher, tmp_path: Path) -> None:
    log = tmp_path / "log"
    config = launcher.config(plain_entry("sleeper", log, "--start-delay", "600"))
    client = StdioClient(launcher.start([GATEWAY], launcher.environment(config)), modern=False)
    tools = [tool["name"] for tool in client.ask("tools/list", {})["result"]["tools"]]
    assert tools == ["tool_search", "discover_tools", "call_remote_tool"]
    assert not read_log(log, "start")


def test_on_a_terminal_it_says_how_to_use_it(launcher: Launcher) -> None:
    controller, terminal = pty.openpty()
    config = launcher.config()
    process = subprocess.Popen(
        [GATEWAY, "serve"],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=launcher.environment(config),
    )
    assert process.stderr is not None
    line = process.stderr.readline().decode()
    process.terminate()
    process.communicate(timeout=WAIT_SECONDS)
    os.close(controller)
    os.close(terminal)
    assert "waiting for an MCP client" in line
    assert "mcp-orchestration-gateway init" in line


@pytest.mark.parametrize("closed", ["<&-", ">&-"])
def test_a_closed_standard_stream_is_one_line(launcher: Launcher, closed: str) -> None:
    command = ["bash", "-c", f"exec {GATEWAY} {'' if closed == '<&-' else '</dev/null'} {closed}"]
    done = subprocess.run(
        command,
        env=launcher.environment(launcher.config()),
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert "standard input or output is closed" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_standard_error_is_no_reason_to_fail(launcher: Launcher) -> None:
    process = launcher.start(
        ["bash", "-c", f"exec {GATEWAY} 2>&-"], launcher.environment(launcher.config(plain_entry("plain")))
    )
    client = StdioClient(process, modern=True)
    assert client.call("plain__echo", {"n": 1})["result"]["structuredContent"]["arguments"] == {"n": 1}


def test_a_port_that_is_taken_is_one_line(launcher: Launcher) -> None:
    gateway = launcher.start_http(launcher.config())
    port = gateway.url.split(":")[2].removesuffix("/mcp")
    second = launcher.run(
        config=launcher.config(), GATEWAY_TRANSPORT="http", GATEWAY_HOST="127.0.0.1", GATEWAY_PORT=port
    )
    assert second.returncode == 1
    assert f"cannot listen at 127.0.0.1:{port}: Address already in use" in second.stderr
    assert "Traceback" not in second.stderr


def test_garbage_on_standard_input_is_survived(launcher: Launcher) -> None:
    process = launcher.start([GATEWAY], launcher.environment(launcher.config(plain_entry("plain"))))
    assert process.popen.stdin is not None
    process.popen.stdin.write('not json\n{"jsonrpc": "2.0"}\n[]\n\n{"id": "odd"}\n')
    client: Any = StdioClient(process, modern=False)
    assert client.call("plain__echo")["result"]["structuredContent"]["arguments"] == {}


def test_garbage_over_http_is_refused_and_survived(launcher: Launcher) -> None:
    import httpx2

    gateway = launcher.start_http(launcher.config(plain_entry("plain")))
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    for body in (b"", b"nonsense", b"[]", b"{}", b"\xff\xfe", b'{"jsonrpc":"2.0","id":1,"method":5}', b"[" * 100_000):
        assert 400 <= httpx2.post(gateway.url, content=body, headers=headers).status_code < 500
    assert httpx2.post(gateway.url, content=b" " * (5 << 20), headers=headers).status_code == 413
    assert HttpClient(gateway.url, modern=True).call("plain__echo")["result"]


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_a_call_under_way_finishes_after_a_signal(
    launcher: Launcher, tmp_path: Path, transport: str, modern: bool
) -> None:
    config = launcher.config(plain_entry("plain", tmp_path / "log"))
    patient = {"GATEWAY_SHUTDOWN_GRACE": "30"}
    if transport == "stdio":
        gateway = launcher.start([GATEWAY], launcher.environment(config, **patient))
        client: Any = StdioClient(process=gateway, modern=modern)
    else:
        listening = launcher.start_http(config, **patient)
        gateway, client = listening, HttpClient(url=listening.url, modern=modern)
    assert "result" in client.call("plain__echo")
    call = client.begin("tools/call", {"name": "plain__slow", "arguments": {"seconds": 1.5}})
    until(lambda: "slow" in (tmp_path / "log").read_text(encoding="utf-8"), "the server has got the call")
    gateway.popen.send_signal(signal.SIGTERM)
    assert client.finish(call)["result"]["content"][0]["text"] == "slow done"
    assert gateway.popen.wait(WAIT_SECONDS) == 0
    assert not is_alive(child_of(tmp_path / "log"))


def test_what_a_child_has_started_ends_with_it_even_if_the_child_has_gone_by_itself(
    launcher: Launcher, tmp_path: Path
) -> None:
    log = tmp_path / "pid"
    left_behind = "import time; time.sleep(600)"
    leaving = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {left_behind!r}], stdin=subprocess.DEVNULL)\n"
        f"open({str(log)!r}, 'w').write(str(child.pid))\n"
        "sys.stdin.read()\n"
    )
    entry = {"name": "leaving", "command": sys.executable, "args": ["-c", leaving]}
    gateway = launcher.start([GATEWAY], launcher.environment(launcher.config(entry)))
    grandchild = int(until(lambda: log.exists() and log.read_text(), "the child starts its own"))
    assert gateway.end() == 0
    assert not is_alive(grandchild)
