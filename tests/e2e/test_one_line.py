"""One message is one line, or one event, however the other side has written it."""

from __future__ import annotations

import json
import sys
from typing import Any

import httpx2
import pytest

from .support.gateways import GATEWAY, HERE, Launcher, plain_entry
from .support.raw_clients import HttpClient, Json, StdioClient, add_envelope

HOSTILE = HERE / "servers" / "hostile.py"
HOW = ["indent", "crlf", "cr", "around", "bom", "indent-sse", "crlf-sse", "cr-sse", "bom-sse"]
ANSWER = {"content": [{"type": "text", "text": "so far"}], "structuredContent": {"value": "x"}}


def hostile_http(launcher: Launcher) -> str:
    """Start the hostile server over HTTP; return where its attacks are."""
    process = launcher.start([sys.executable, str(HOSTILE), "http"], {})
    assert process.popen.stdout is not None
    return f"http://127.0.0.1:{process.popen.stdout.readline().strip()}"


def entries(launcher: Launcher, era: str) -> list[Json]:
    base = hostile_http(launcher)
    return [{"name": how, "url": f"{base}/{era}/pretty-{how}", "max_retries": 0} for how in HOW]


def error_text(response: Json) -> Any:
    """Return what of a result is the server's."""
    result = response["result"]
    return {key: result[key] for key in ANSWER if key in result}


@pytest.mark.parametrize("era", ["handshake", "modern"])
def test_an_answer_over_several_lines_reaches_a_client_of_a_pipe_in_one(launcher: Launcher, era: str) -> None:
    config = launcher.config(*entries(launcher, era))
    process = launcher.start([GATEWAY], launcher.environment(config))
    client = StdioClient(process=process, modern=era == "modern")  # a line that is no JSON is an error there
    for how in HOW:
        for _ in range(2):  # the session is open when the second one comes
            assert error_text(client.call(f"{how}__attack", {})) == ANSWER, how


@pytest.mark.parametrize("era", ["handshake", "modern"])
def test_an_answer_over_several_lines_reaches_a_client_over_http_in_one_event(launcher: Launcher, era: str) -> None:
    gateway = launcher.start_http(launcher.config(*entries(launcher, era)))
    client = HttpClient(gateway.url, modern=era == "modern")
    for how in HOW:
        for _ in range(2):
            assert error_text(client.call(f"{how}__attack", {})) == ANSWER, how


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_a_request_over_several_lines_reaches_a_server_of_a_pipe_in_one(launcher: Launcher, end: str) -> None:
    log = launcher.folder / "seen.log"
    entry = plain_entry("child", log, "--era", "modern")
    gateway = launcher.start_http(launcher.config(entry))
    client = HttpClient(gateway.url, modern=True)
    client.call("child__echo", {})
    params = add_envelope({"name": "child__echo", "arguments": {"a": {"b": [1, 2]}}})
    body = json.dumps({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}, indent=2)
    routing = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "child__echo"}
    accept = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
    for _ in range(2):
        sent = body.replace("\n", end).encode()
        response = httpx2.post(gateway.url, content=sent, headers={**accept, **routing}, timeout=60)
        assert response.json()["result"]["structuredContent"]["arguments"] == {"a": {"b": [1, 2]}}
