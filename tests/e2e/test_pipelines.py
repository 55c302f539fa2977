"""A shell pipeline gets all of its answers: the end of standard input ends the asking, and not what was asked."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .support.gateways import GATEWAY, WAIT_SECONDS, Launcher, Process, plain_entry, read_log, until
from .support.raw_clients import HANDSHAKE, INFO, add_envelope

LONG = {"GATEWAY_SHUTDOWN_GRACE": "3600"}


def encode_requests(*requests: tuple[str, Any], modern: bool) -> str:
    """Write requests as a script would, each with its place as id; of the handshake era after a handshake."""
    hello = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": INFO}
    before: list[Any] = [] if modern else [{"id": 0, "method": "initialize", "params": hello}]
    before += [] if modern else [{"method": "notifications/initialized"}]
    asked = [
        {"id": number, "method": method, "params": add_envelope(params) if modern else params}
        for number, (method, params) in enumerate(requests, 1)
    ]
    return "".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in before + asked)


def call(tool: str, arguments: Any) -> tuple[str, Any]:
    return "tools/call", {"name": tool, "arguments": arguments}


def start_gateway(launcher: Launcher, log: Path, text: str, **variables: str) -> Process:
    """Start a gateway, write to it, and close its standard input."""
    gateway = launcher.start([GATEWAY], launcher.environment(launcher.config(plain_entry("plain", log)), **variables))
    assert gateway.popen.stdin is not None
    gateway.popen.stdin.write(text)
    gateway.popen.stdin.close()
    return gateway


ASKED = (call("plain__slow", {"seconds": 0.5}), call("tool_search", {"query": "echo"}), ("tools/list", {}))


@pytest.mark.parametrize("modern", [True, False])
def test_what_was_asked_is_answered_after_the_end_of_the_input(
    launcher: Launcher, tmp_path: Path, modern: bool
) -> None:
    gateway = start_gateway(launcher, tmp_path / "log", encode_requests(*ASKED, modern=modern), **LONG)
    assert gateway.popen.stdout is not None
    answers = [json.loads(line) for line in gateway.popen.stdout]
    results = {answer["id"]: answer["result"] for answer in answers if "id" in answer}
    assert set(results) == ({1, 2, 3} if modern else {0, 1, 2, 3})
    assert results[1]["content"] == [{"type": "text", "text": "slow done"}]
    assert gateway.popen.wait(WAIT_SECONDS) == 0


def test_files_do_as_well_as_pipes(launcher: Launcher, tmp_path: Path) -> None:
    asked, answered = tmp_path / "asked", tmp_path / "answered"
    asked.write_text(encode_requests(*ASKED, modern=False), encoding="utf-8")
    environment = launcher.environment(launcher.config(plain_entry("plain")), **LONG)
    with asked.open() as incoming, answered.open("w") as outgoing:
        done = subprocess.run(
            [GATEWAY],
            env=environment,
            stdin=incoming,
            stdout=outgoing,
            stderr=subprocess.DEVNULL,
            timeout=WAIT_SECONDS,
            check=False,
        )
    assert done.returncode == 0
    assert {json.loads(line).get("id") for line in answered.read_text(encoding="utf-8").splitlines()} >= {0, 1, 2, 3}


def test_a_long_answer_is_written_to_its_end_however_late_it_is_read(launcher: Launcher, tmp_path: Path) -> None:
    text = "x" * 3_000_000
    asked = encode_requests(call("plain__echo", {"text": text}), modern=True)
    gateway = start_gateway(launcher, tmp_path / "log", asked, **LONG)
    until(lambda: read_log(tmp_path / "log", "tools/call"), "the call reaches the server")
    assert gateway.popen.stdout is not None
    [answer] = [json.loads(line) for line in gateway.popen.stdout]
    assert answer["result"]["structuredContent"]["arguments"] == {"text": text}


def test_what_takes_longer_than_the_grace_is_cancelled_and_logged(launcher: Launcher, tmp_path: Path) -> None:
    asked = encode_requests(call("plain__slow", {"seconds": 600}), modern=True)
    gateway = start_gateway(launcher, tmp_path / "log", asked, GATEWAY_SHUTDOWN_GRACE="0.2")
    abandoned = gateway.wait_for("requests abandoned")
    assert (abandoned["requests"], abandoned["grace"]) == (1, 0.2)
    assert "set GATEWAY_SHUTDOWN_GRACE" in abandoned["hint"]
    assert gateway.popen.wait(WAIT_SECONDS) == 0


@pytest.mark.parametrize("modern", [True, False])
def test_a_client_that_has_closed_both_ends_is_not_waited_for(launcher: Launcher, tmp_path: Path, modern: bool) -> None:
    asked = encode_requests(call("plain__slow", {"seconds": 600}), modern=modern)
    gateway = start_gateway(launcher, tmp_path / "log", asked, **LONG)
    assert gateway.popen.stdout is not None
    gateway.popen.stdout.close()
    assert gateway.popen.wait(WAIT_SECONDS) == 0


def test_a_client_that_only_listened_is_not_waited_for(launcher: Launcher, tmp_path: Path) -> None:
    listening = ("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    gateway = start_gateway(launcher, tmp_path / "log", encode_requests(listening, modern=True), **LONG)
    assert gateway.popen.wait(WAIT_SECONDS) == 0


@pytest.mark.parametrize("modern", [True, False])
def test_what_is_no_message_gets_an_error_and_disturbs_nothing(
    launcher: Launcher, tmp_path: Path, modern: bool
) -> None:
    first, *rest = encode_requests(call("plain__echo", {"n": 1}), modern=modern).splitlines(keepends=True)
    odd = ["garbage\n", "[]\n", "\n", '{"jsonrpc":"2.0","id":77}\n', '{"jsonrpc":"2.0","id":78,"result":5}\n']
    gateway = start_gateway(launcher, tmp_path / "log", "".join([first, *odd, *rest]), **LONG)
    assert gateway.popen.stdout is not None
    answers = [json.loads(line) for line in gateway.popen.stdout]
    errors = {str(answer.get("id")): answer["error"]["code"] for answer in answers if "error" in answer}
    assert errors == {"None": -32600, "77": -32600}
    assert sum("error" in answer for answer in answers) == 3
    assert next(answer for answer in answers if answer.get("id") == 1)["result"]["structuredContent"]["arguments"] == {
        "n": 1
    }
    assert gateway.popen.wait(WAIT_SECONDS) == 0
