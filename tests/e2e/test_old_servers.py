"""Servers over HTTP+SSE: found by their URL alone, remembered, and reached as all others are."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import trustme

from .support.gateways import Launcher, Process, free_port, read_log, until
from .support.raw_clients import HttpClient

SERVER = Path(__file__).parent / "servers" / "old_sse.py"


def start_old(launcher: Launcher, port: int, log: Path, *tls: Path) -> Process:
    """Start the server; return when it listens."""
    process = launcher.start([sys.executable, str(SERVER), str(port), str(log), *map(str, tls)], dict(os.environ))
    until(lambda: is_listening(port), "the old server listens")
    return process


def is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def requests(log: Path) -> list[str]:
    """Return what has been asked, except messages."""
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True) if log.exists() else []
    return [line.strip() for line in lines if line.endswith("\n") and "/messages/" not in line]


def echo(client: HttpClient, tool: str, text: str) -> str:
    return str(client.call(tool, {"text": text})["result"]["content"][0]["text"])


def test_a_url_that_refuses_a_post_is_tried_in_the_old_way_and_remembered(launcher: Launcher, tmp_path: Path) -> None:
    port = free_port()
    log = tmp_path / f"log-{port}"
    old = start_old(launcher, port, log)
    url = f"http://127.0.0.1:{port}/sse"
    config = launcher.config({"name": "old", "url": url, "auth_type": "static", "auth_headers": {"X-Key": "k"}})
    gateway = launcher.start_http(config)
    clients = [HttpClient(gateway.url, modern=modern) for modern in (False, True)]
    for client in clients:
        assert echo(client, "old__echo", "x" * 2_000_000) == "x" * 2_000_000
        assert client.call("old__report", {"steps": 3})["result"]["content"][0]["text"] == "reported"
    asked = requests(log)
    assert asked[-1] == "GET /sse k"
    assert set(asked[:-1]) == {"POST /sse k"}
    old.end(signal.SIGKILL)
    start_old(launcher, port, log)
    until(lambda: len(requests(log)) > len(asked), "the session is opened again")
    for client in clients:
        assert echo(client, "old__echo", "again") == "again"
    assert set(requests(log)[len(asked) :]) == {"GET /sse k"}


def test_it_is_remembered_over_a_restart_and_found_out_again_when_the_server_has_moved(
    launcher: Launcher, tmp_path: Path
) -> None:
    port = free_port()
    log, moved_log = tmp_path / f"log-{port}", tmp_path / "moved"
    config = launcher.config({"name": "old", "url": f"http://127.0.0.1:{port}/sse"})

    def call_echo() -> None:
        gateway = launcher.start_http(config)
        assert "result" in HttpClient(gateway.url, modern=True).call("old__echo", {"text": "x"})
        gateway.end()

    old = start_old(launcher, port, log)
    call_echo()
    asked = requests(log)
    assert "POST /sse" in asked
    call_echo()
    assert set(requests(log)[len(asked) :]) == {"GET /sse"}
    old.end(signal.SIGKILL)
    launcher.start_plain_http("--port", str(port), log=moved_log)
    call_echo()
    assert read_log(moved_log, "tools/call")
    assert not list((launcher.folder / "state" / "connections").iterdir())


def test_check_reaches_old_servers_and_says_what_is_wrong_with_others(launcher: Launcher, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, host in (("server.pem", "127.0.0.1"), ("client.pem", "gateway.test")):
        authority.issue_cert(host).private_key_and_cert_chain_pem.write_to_path(tmp_path / name)
    port = free_port()
    start_old(launcher, port, tmp_path / f"log-{port}", tmp_path / "server.pem", tmp_path / "ca.pem")
    whole = {"url": f"https://127.0.0.1:{port}/sse", "ca": str(tmp_path / "ca.pem"), "max_retries": 0}
    config = launcher.config(
        {"name": "typed", "transport": "sse", "cert": str(tmp_path / "client.pem"), **whole},
        {"name": "found", "cert": str(tmp_path / "client.pem"), **whole},
        {"name": "strange", "transport": "sse", "url": whole["url"], "max_retries": 0},
        {"name": "uncertified", **whole},
        {
            "name": "elsewhere",
            **whole,
            "url": f"https://127.0.0.1:{port}/nowhere",
            "cert": str(tmp_path / "client.pem"),
        },
    )
    said = launcher.run("check", "--connect", config=config).stdout
    lines = {name: [line for line in said.splitlines() if name in line] for name in ("typed", "found")}
    assert "2 tools" in lines["typed"][0]
    assert "2 tools" in lines["found"][0]
    assert "'strange' is not available: its certificate comes from an authority that is not trusted here" in said
    assert "'uncertified'" in said
    assert '"cert" and "key"' in said
    assert "'elsewhere' cannot be reached: HTTP 404 Not Found; nor does 'sse' reach it: HTTP 404 Not Found" in said
