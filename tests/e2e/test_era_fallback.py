"""A client whose `server/discover` was not answered in time begins anew with `initialize`, on the same pipe."""

from __future__ import annotations

import pytest

from .support.gateways import GATEWAY, WAIT_SECONDS, Launcher, plain_entry
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
