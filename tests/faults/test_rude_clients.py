"""Clients that send nonsense are refused in words, over HTTP and over stdio, and nobody else notices."""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ..e2e.support.gateways import GATEWAY, WAIT_SECONDS, Json, Launcher
from ..e2e.support.raw_clients import HANDSHAKE, INFO, MODERN, add_envelope
from .scenarios.servers import FAULTY
from .support.clients import HttpCaller, StdioCaller, call_echo, wait_until_right
from .support.matrix import RIGHT
from .test_properties import edited, edits, same_each_time

HELLO = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": INFO}
REQUESTS: tuple[tuple[str, Json], ...] = (
    ("tools/call", add_envelope({"name": "plain__echo", "arguments": {"a": [1.0, None, "é"]}})),
    ("tools/call", {"name": "plain__echo", "arguments": {}, "_meta": {"progressToken": "t"}}),
    ("tools/call", {"name": "tool_search", "arguments": {"query": "echo"}}),
    ("initialize", HELLO),
    ("tools/list", add_envelope({})),
    ("notifications/cancelled", {"requestId": 1}),
    ("server/discover", add_envelope({})),
)


def message(method: str, params: Json, id_: int = 7) -> bytes:
    body = {"jsonrpc": "2.0", "id": id_, "method": method, "params": params}
    return json.dumps(body, ensure_ascii=False).encode()


def request(method: str, params: Json) -> bytes:
    """Write an HTTP request after which the connection is closed."""
    body = message(method, params)
    lines = ["POST /mcp HTTP/1.1", "host: 127.0.0.1", "connection: close"]
    lines += ["accept: application/json, text/event-stream"]
    lines += ["content-type: application/json", f"content-length: {len(body)}"]
    if "_meta" in params and "progressToken" not in params["_meta"]:
        lines += [f"mcp-protocol-version: {MODERN}", f"mcp-method: {method}", f"mcp-name: {params.get('name', '')}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    with ExitStack() as stack:
        yield Launcher(tmp_path_factory.mktemp("rude"), stack)


@pytest.fixture(scope="module")
def config(launcher: Launcher) -> object:
    entry = {"command": sys.executable, "args": ["-S", FAULTY, "stdio", str(launcher.folder), "plain"]}
    return launcher.config({"name": "plain", **entry})


@pytest.fixture(scope="module")
def url(launcher: Launcher, config: object) -> str:
    return launcher.start_http(config).url


def is_whole(data: bytes) -> bool:
    """Whether a request is complete and asks for the end of its connection, so that an answer and the end must come."""
    head, found, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: (\d{1,4})\r\n", head + b"\r\n")
    return bool(found and length and len(body) == int(length[1]) and b"\r\nconnection: close\r\n" in head + b"\r\n")


def exchange(url: str, data: bytes) -> bytes:
    """Send bytes, and read what comes until the other end closes; if it waits for more, say that there is none."""
    where = urlsplit(url)
    found = b""
    with socket.create_connection((str(where.hostname), int(where.port or 0)), WAIT_SECONDS) as stream:
        try:
            stream.sendall(data)
            if not is_whole(data):
                stream.shutdown(socket.SHUT_WR)
            while piece := stream.recv(1 << 16):
                found += piece
        except ConnectionError:
            pass
    return found


@same_each_time
@given(sent=some.builds(edited, some.sampled_from([request(*each) for each in REQUESTS]), edits))
def test_whatever_is_sent_over_http_is_no_error_of_the_gateways(url: str, sent: bytes) -> None:
    found = exchange(url, sent)
    # 501 and 505 are said of what the client has asked for, such as another version of HTTP.
    status = found[9:12]
    assert status in {b"501", b"505"} or not status.startswith(b"5"), found[:500]
    assert found.startswith(b"HTTP/1.1 ") or not is_whole(sent)


def test_others_are_served_as_before_over_http(url: str) -> None:
    assert wait_until_right(lambda: call_echo(HttpCaller(url), "plain"), WAIT_SECONDS) == RIGHT


def test_whatever_is_sent_over_stdio_the_next_call_is_answered(launcher: Launcher, config: object) -> None:
    process = launcher.start([GATEWAY], launcher.environment(config, GATEWAY_LOG_LEVEL="ERROR"), errors="replace")
    client = StdioCaller(process)
    assert process.popen.stdin is not None
    raw = process.popen.stdin.buffer

    @same_each_time
    @given(line=some.builds(edited, some.sampled_from([message(*each, id_=10**9) for each in REQUESTS]), edits))
    def sent(line: bytes) -> None:
        raw.write(line.replace(b"\n", b" ") + b"\n")
        raw.flush()
        assert wait_until_right(lambda: call_echo(client, "plain"), WAIT_SECONDS) == RIGHT

    sent()
