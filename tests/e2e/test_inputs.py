"""Inputs that a file wants are asked for on a terminal, and on no other way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import pytest

from .support.gateways import GATEWAY, WAIT_SECONDS, Launcher

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")

INPUTS = [{"type": "promptString", "id": "key", "description": "Key of the clock", "password": True}]


def test_an_input_is_asked_for_once_on_a_terminal_without_an_echo(launcher: Launcher) -> None:
    import pty

    config = launcher.folder / "mcp.json"
    entry = {"command": sys.executable, "env": {"A": "${input:key}", "B": "${input:key}"}}
    config.write_text(json.dumps({"inputs": INPUTS, "servers": {"clock": entry}}), encoding="utf-8")
    environment = launcher.environment(config)
    refused = launcher.run("check", config=config)
    assert "it wants the input 'key'; set INPUT_KEY" in refused.stdout
    ours, theirs = pty.openpty()
    process = subprocess.Popen([GATEWAY, "check"], env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    guard = threading.Timer(WAIT_SECONDS, process.kill)
    guard.start()
    seen = b""
    try:
        while b"Key of the clock: " not in seen:
            seen += os.read(ours, 1000)
        os.write(ours, b"t0p-s3cret\n")
        while b"all is well: 1 server: clock" not in seen:
            seen += os.read(ours, 1000)
        assert process.wait(WAIT_SECONDS) == 0
    finally:
        guard.cancel()
        process.kill()
        process.wait()
        os.close(ours)
    assert seen.count(b"Key of the clock") == 1
    assert b"t0p-s3cret" not in seen
