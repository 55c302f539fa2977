"""Text that a server cut in the middle of a character, as programs in JavaScript do, arrives; it holds nothing up."""

from __future__ import annotations

from typing import Any

import pytest

from .support.gateways import GATEWAY, Launcher, plain_entry
from .support.raw_clients import HttpClient, StdioClient


@pytest.mark.parametrize("options", [{}, {"_meta": {"progressToken": 7}}], ids=["plain", "ordinary"])
@pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])
@pytest.mark.parametrize("server", ["stdio", "http"])
@pytest.mark.parametrize("client", ["stdio", "http"])
def test_half_a_character_arrives(launcher: Launcher, client: str, server: str, modern: bool, options: Any) -> None:
    url = "" if server == "stdio" else launcher.start_plain_http()[0]
    entry = plain_entry("plain") if server == "stdio" else {"name": "plain", "url": url}
    config = launcher.config(entry)
    if client == "stdio":
        connected: Any = StdioClient(launcher.start([GATEWAY], launcher.environment(config)), modern)
    else:
        connected = HttpClient(launcher.start_http(config).url, modern)
    assert connected.call("plain__echo", {"n": 1})["result"]["structuredContent"]["arguments"] == {"n": 1}
    answer = connected.call("plain__echo", {"cut": True}, **options)
    assert answer["result"]["structuredContent"]["arguments"]["text"] in ("cut \ud83d", "cut \ufffd")


@pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])
def test_half_a_character_of_a_clients_arrives(launcher: Launcher, modern: bool) -> None:
    gateway = launcher.start([GATEWAY], launcher.environment(launcher.config(plain_entry("plain"))))
    answer = StdioClient(gateway, modern).call("plain__echo", {"text": "cut \ud83d"})
    assert answer["result"]["structuredContent"]["arguments"]["text"] == "cut \ufffd"
