"""The file of servers is changed under a running gateway, as an editor or a container does it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .support.gateways import GATEWAY, Launcher, is_alive, plain_entry, read_log, until
from .support.raw_clients import HttpClient, StdioClient

AGAIN = "configuration reloaded"


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_servers_come_and_go_while_clients_are_connected(launcher: Launcher, tmp_path: Path, transport: str) -> None:
    first, second = plain_entry("first", tmp_path / "first"), plain_entry("second", tmp_path / "second")
    config = launcher.config(first)
    quick = {"GATEWAY_CONFIG_RELOAD": "0.05"}
    if transport == "stdio":
        gateway = launcher.start([GATEWAY], launcher.environment(config, **quick))
        client: StdioClient | HttpClient = StdioClient(process=gateway, modern=False)
    else:
        listening = launcher.start_http(config, **quick)
        gateway, client = listening, HttpClient(url=listening.url, modern=False)
    assert "result" in client.call("first__echo", {"a": 1})
    (child,) = (int(pid) for pid in read_log(tmp_path / "first", "start"))
    config.write_text(json.dumps({"servers": [first, second]}), encoding="utf-8")
    assert gateway.wait_for(AGAIN)["added"] == ["second"]
    assert "result" in client.call("second__echo", {"a": 2})
    assert is_alive(child)
    config.write_text("{broken", encoding="utf-8")
    assert "line 1" in gateway.wait_for("configuration reload failed")["reason"]
    assert "result" in client.call("first__echo", {"a": 3})
    written = config.with_name("written.json")
    written.write_text(json.dumps({"servers": [second]}), encoding="utf-8")
    written.replace(config)
    until(lambda: not is_alive(child), "the server that was removed ends")
    assert "error" in client.call("first__echo", {"a": 4})
    assert "result" in client.call("second__echo", {"a": 5})
    assert len(read_log(tmp_path / "second", "start")) == 1
