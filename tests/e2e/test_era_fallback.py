"""Falling back to an older version of the protocol, in front of the gateway and behind it.

A client whose `server/discover` was not answered in time begins anew with `initialize`, on the same pipe. A server that
refuses `initialize` with the newest version and names another one gets that.
"""

from __future__ import annotations

import os
import sys

import pytest

from .support.gateways import GATEWAY, HERE, WAIT_SECONDS, Launcher, plain_entry
from .support.raw_clients import HANDSHAKE, INFO, StdioClient


@pytest.mark.parametrize("moment", ["cancelled", "left", "answered"])
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "among several"])
def test_a_client_may_fall_back_to_the_handshake(launcher: Launcher, *, alone: bool, moment: str) -> None:
    keys = {"namespace": None} if alone else {}
    config = launcher.config(plain_entry("plain", expose_tools=True, **keys))
    client = StdioClient(launcher.start([GATEWAY], launcher.environment(config)), modern=True)
    number = client.begin("server/discover", {})
    match moment:
        case "cancelled":
            client.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}})
        case "answered":
            assert "result" in client.finish(number)
    client.modern = False
    declared = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": INFO}
    assert client.ask("initialize", declared)["result"]["protocolVersion"] == HANDSHAKE
    client.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
    called = client.call("odd" if alone else "plain__odd")
    assert "result" in called
    assert client.process.popen.stdin is not None
    client.process.popen.stdin.close()
    assert client.process.popen.wait(WAIT_SECONDS) == 0


@pytest.mark.parametrize("place", ["stdio", "http 200", "http 400"])
def test_a_server_that_refuses_all_versions_but_one_is_served(launcher: Launcher, place: str) -> None:
    command = [sys.executable, str(HERE / "servers" / "one_version.py"), *place.split()]
    entry = {"name": "picky", "command": command[0], "args": command[1:]}
    if place != "stdio":
        process = launcher.start(command, dict(os.environ))
        assert process.popen.stdout is not None
        entry = {"name": "picky", "url": f"http://127.0.0.1:{process.popen.stdout.readline().strip()}/mcp"}
    config = launcher.config(entry)
    trial = launcher.run("check", "--connect", config=config)
    assert (trial.returncode, "1 tool" in trial.stdout) == (0, True), trial.stdout
    called = launcher.run("call", "picky__echo", config=config)
    assert called.stdout.strip() == "done", called.stderr
