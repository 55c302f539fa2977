"""`status`, `logs` and `servers` of gateways that answer in certain ways, over real sockets."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import contextmanager

import anyio.from_thread
import pytest

from core.tests.support.local_socket import PARENT, encode, pretend

STATUS = {
    "pid": PARENT,
    "version": "1.2.3",
    "since": 0,
    "transport": "http",
    "address": "http://127.0.0.1:8080",
    "config": "servers.json",
    "clients": [{"name": "Cursor", "version": "2"}, {}, {"name": "Cursor", "version": "2"}],
    "calls": {"running": 1, "admitted": 5, "failed": 2},
    "memory_bytes": 0,
    "servers": [],
}


@pytest.fixture(autouse=True)
def runtime(monkeypatch):
    with tempfile.TemporaryDirectory(prefix="run-") as folder:  # not below tmp_path: the path of a socket is short
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield


@contextmanager
def answering(**answers):
    """Run a gateway, in a thread, that answers each method with certain lines; or with none, if it has no answer."""

    def answer(message):
        if message["method"] == "hello":
            return encode(id=message["id"], result={})
        lines = answers.get(message["method"])
        return None if lines is None else b"".join(encode(**line) for line in lines)

    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(pretend(answer)) as endpoint,
    ):
        yield endpoint


def test_clients_are_counted_and_calls_named_by_what_they_are(run):
    with answering(status=[{"result": STATUS}]):
        code, out, err = run("status")
        assert (code, err) == (0, "")
        assert "clients   3: Cursor 2 (2 times), unnamed" in out
        assert "calls     1 under way, 5 sent to servers, 2 failed, refused or cancelled" in out
        code, out, _ = run("status", "--json")
        assert json.loads(out) == {"gateways": [STATUS], "unusable": []}


@pytest.mark.parametrize("verb", ["status", "servers"])
def test_what_keeps_a_file_from_use_is_said_with_the_servers(run, verb):
    notices = ["the file is broken", "the folder is not trusted"]
    with answering(status=[{"result": {**STATUS, "notices": notices}}]):
        code, _, err = run(verb)
        assert (code, err.splitlines()) == (0, [f"mcp-orchestration-gateway: {notice}" for notice in notices])
        code, out, _ = run(verb, "--json")
        assert (code, json.loads(out)["gateways"][0]["notices"]) == (0, notices)


@pytest.mark.parametrize("verb", ["status", "servers"])
def test_a_gateway_that_gives_no_status_is_named(run, verb):
    reason = f"the gateway with process {PARENT} gives no status: it is upside down"
    with answering(status=[{"error": {"message": "it is upside down"}}]):
        code, out, err = run(verb)
        assert (code, out, err) == (1, "", f"mcp-orchestration-gateway: {reason}\n")
        code, out, _ = run(verb, "--json")
        failure = {"success": False, "error_code": "refused", "error": reason}
        assert (code, json.loads(out)) == (
            1,
            {"gateways": [], "unusable": [{"pid": PARENT, "reason": reason}], **failure},
        )
        code, _, err = run(verb, "--gateway", "1")
        assert (code, f"no gateway of yours runs with process 1; running: {PARENT}" in err) == (1, True)


OFF = {"name": "off", "state": "disabled", "since": 0, "reason": "", "tools": 0, "refused": [], "left_out": []}


@pytest.mark.parametrize(
    "on_purpose, expected, said",
    [
        ({"on_purpose": True}, 0, "0 of 0 servers work, 1 switched off"),
        ({"on_purpose": False}, 1, "0 of 1 servers work"),
        ({}, 1, "0 of 1 servers work"),
    ],
)
def test_a_server_that_is_switched_off_is_none_that_does_not_work(run, on_purpose, expected, said):
    with answering(status=[{"result": {**STATUS, "servers": [OFF | on_purpose]}}]):
        code, out, _ = run("servers")
        assert (code, out.splitlines()[-1]) == (expected, said)
        code, out, _ = run("servers", "--json")
        assert (code, "error" in json.loads(out)) == (expected, bool(expected))
        assert run("status")[1].splitlines()[-1] == said


def test_of_a_gateway_that_has_ended_it_is_said_where_its_log_is(run, tmp_path, monkeypatch):
    monkeypatch.setenv("GATEWAY_STATE_DIR", str(tmp_path))
    code, out, err = run("logs")
    assert (code, out) == (1, "")
    assert (
        "no gateway of yours is running; what it wrote is in its client's own log of MCP servers; with GATEWAY_SH"
        in err
    )
    logs = [tmp_path / "shared" / f"shared-{name}.log" for name in ("new", "old")]
    logs[0].parent.mkdir()
    for age, log in enumerate(logs):
        log.touch()
        os.utime(log, (1000 - age, 1000 - age))
    code, _, err = run("logs")
    assert (code, err.endswith(f"is running; the log of the last one that was shared: {logs[0]}\n")) == (1, True), err
    code, out, _ = run("logs", "--json")
    assert (code, json.loads(out)["error_code"], str(logs[0]) in json.loads(out)["error"]) == (1, "no_gateway", True)
    assert "no gateway of yours runs with process 1" in run("logs", "--gateway", "1")[2]


def test_missed_lines_are_told_beside_the_log(run):
    line = {"method": "line", "params": {"server": "", "text": json.dumps({"event": "ready", "level": "info"})}}
    with answering(logs=[line, {"method": "missed", "params": {"lines": 7}}, line, {"result": {}}]):
        code, out, err = run("logs", "-f")
        assert (code, out.count("ready")) == (0, 2)
        assert err == "note: 7 lines came faster than they could be shown, and are missing here\n"
        code, out, _ = run("logs", "-f", "--json")
        assert [json.loads(text)["event"] for text in out.splitlines()] == ["ready", "ready"]
