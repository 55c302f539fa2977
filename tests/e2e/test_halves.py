"""Text that a server cut in the middle of a character, as programs in JavaScript do, arrives; it holds nothing up."""

from __future__ import annotations

from typing import Any

import pytest

from .support.gateways import GATEWAY, Workshop, plain_entry
from .support.raw_clients import HttpClient, PipeClient


@pytest.mark.parametrize("lane", [{}, {"_meta": {"progressToken": 7}}], ids=["direct", "usual"])
@pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])
@pytest.mark.parametrize("server", ["stdio", "http"])
@pytest.mark.parametrize("client", ["stdio", "http"])
def test_half_a_character_arrives(workshop: Workshop, client: str, server: str, modern: bool, lane: Any) -> None:
    url = "" if server == "stdio" else workshop.plain_http()[0]
    entry = plain_entry("plain") if server == "stdio" else {"name": "plain", "url": url}
    config = workshop.config(entry)
    if client == "stdio":
        visitor: Any = PipeClient(workshop.start([GATEWAY], workshop.environment(config)), modern)
    else:
        visitor = HttpClient(workshop.listening(config).url, modern)
    assert visitor.call("plain__echo", {"n": 1})["result"]["structuredContent"]["arguments"] == {"n": 1}
    answer = visitor.call("plain__echo", {"cut": True}, **lane)
    assert answer["result"]["structuredContent"]["arguments"]["text"] in ("cut \ud83d", "cut \ufffd")


@pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])
def test_half_a_character_of_a_clients_arrives(workshop: Workshop, modern: bool) -> None:
    gateway = workshop.start([GATEWAY], workshop.environment(workshop.config(plain_entry("plain"))))
    answer = PipeClient(gateway, modern).call("plain__echo", {"text": "cut \ud83d"})
    assert answer["result"]["structuredContent"]["arguments"]["text"] == "cut \ufffd"
