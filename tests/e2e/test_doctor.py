"""`doctor` on a machine where much is wrong: each trouble is real, and all are found within one time limit."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_gateway_cli.doctor.processes import list_served_files

from mcp_gateway.control.gateways.lookup import describe_gateways

from .support.gateways import GATEWAY, free_port, plain_entry, until
from .support.terminal_session import Home

SECONDS = 12


class Refusing(BaseHTTPRequestHandler):
    """Refuses all credentials, as a server does that wants a token."""

    def do_POST(self) -> None:
        """Answer 401."""
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(401)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        """Answer the same."""
        self.do_POST()

    def log_message(self, *_: Any) -> None:
        """Stay silent."""


@pytest.fixture(scope="module")
def refusing() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, refusing: int) -> Mapping[str, Any]:
    """What one run finds, by code, where everything is wrong at once."""
    home = Home(tmp_path_factory.mktemp("ill"))
    ends = "import sys; sys.exit('the API key is missing')"
    entries = [
        plain_entry("well"),
        {"name": "gone", "command": "no-such-server"},
        {"name": "npx", "command": "npx", "env": {"PATH": "/nonexistent"}},
        {"name": "ends", "command": sys.executable, "args": ["-c", ends]},
        {"name": "hangs", "command": sys.executable, "args": ["-c", "import time; time.sleep(600)"]},
        {"name": "nowhere", "url": "http://no-such-host.invalid/mcp"},
        {"name": "closed", "url": f"http://127.0.0.1:{free_port()}/mcp"},
        {"name": "token", "url": f"http://127.0.0.1:{refusing}/mcp"},
        {"name": "itself", "command": GATEWAY},
    ]
    (home.folder / "server_config.json").write_text(json.dumps({"servers": entries}), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        variables = {
            "GATEWAY_TRANSPORT": "http",
            "GATEWAY_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(taken.getsockname()[1]),
            "STORAGE_BACKEND": "redis",
            "REDIS_URL": f"redis://:geheim-geheim@127.0.0.1:{free_port()}/0",
        }
        began = time.monotonic()
        done = Home(home.folder, variables).run("doctor", "--json", "--seconds", str(SECONDS))
        took = time.monotonic() - began
    found = json.loads(done.stdout)
    return {"code": done.returncode, "text": done.stdout + done.stderr, "took": took, **found}


TROUBLES = [
    ("command-not-found", "error", "gone", "searched: PATH=", "install it"),
    ("runtime-missing", "error", "npx", "PATH=/nonexistent", "nodejs.org"),
    ("command-ends", "error", "ends", "it last wrote: the API key is missing", "do what it says"),
    ("server-slow", "error", "hangs", "that all servers have here", "start_timeout"),
    ("dns", "error", "nowhere", "'no-such-host.invalid' leads nowhere", "DNS"),
    ("connection-refused", "error", "closed", "nothing listens at 127.0.0.1:", "start the server"),
    ("credentials-refused", "error", "token", "401", "mcp-orchestration-gateway login token"),
    ("redis-unreachable", "error", "STORAGE_BACKEND=redis", "Redis cannot be reached", "REDIS_URL"),
    ("port-taken", "error", "127.0.0.1:", "listens there already", "GATEWAY_PORT"),
    ("gateway-loop", "ok", "itself", "behind itself", "SERVER_CONFIG_PATH"),
    ("server-well", "ok", "well", "tool", ""),
    ("folder-not-trusted", "ok", "/", "commands read it", "mcp-orchestration-gateway trust"),
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=[row[0] for row in TROUBLES])
def test_each_trouble_is_found(report: Mapping[str, Any], trouble: tuple[str, ...]) -> None:
    code, severity, subject, message, mend = trouble
    found = next(one for one in report["findings"] if one["code"] == code)
    assert (found["severity"], found["subject"].startswith(subject)) == (severity, True), found
    assert message in found["message"], found
    assert mend in found["mend"], found


def test_nothing_else_is_found_and_the_exit_code_tells_of_errors(report: Mapping[str, Any]) -> None:
    assert {one["code"] for one in report["findings"]} == {row[0] for row in TROUBLES}, report["findings"]
    assert (report["code"], report["ok"], report["worst"]) == (11, False, "error")
    assert "geheim" not in report["text"]


def test_a_server_that_hangs_does_not_hold_it_up(report: Mapping[str, Any]) -> None:
    assert report["took"] < 5 * SECONDS  # the server would hang for ten minutes


def test_gateways_that_serve_one_file_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "servers.json"
    file.write_text(json.dumps({"servers": [{"name": "off", "command": "x", "enabled": False}]}), encoding="utf-8")
    home = Home(tmp_path)
    start = [GATEWAY, "--config", str(file)]
    both = [
        subprocess.Popen(start, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=home.environment) for _ in range(2)
    ]
    monkeypatch.setenv("XDG_RUNTIME_DIR", home.environment["XDG_RUNTIME_DIR"])
    expected = {(gateway.pid, file) for gateway in both}
    try:
        until(
            lambda: set(list_served_files(anyio.run(describe_gateways))) == expected,
            "both gateways answer at their sockets",
        )
        found = json.loads(home.run("doctor", "--json", "--config", str(file)).stdout)["findings"]
        (several,) = [one for one in found if one["code"] == "several-gateways"]
        assert several["severity"] == "warning"
        assert all(str(gateway.pid) in several["message"] for gateway in both)
    finally:
        for gateway in both:
            gateway.communicate()
    found = json.loads(home.run("doctor", "--json", "--config", str(file)).stdout)["findings"]
    assert not [one for one in found if one["code"] == "several-gateways"]


def test_an_empty_folder_says_what_to_type_on_a_terminal_too(tmp_path: Path) -> None:
    code, screen = Home(tmp_path).watch("doctor")
    assert code == 10
    assert "mcp-orchestration-gateway init" in screen.replace("\n", " ")
