"""Clients that know JSON and nothing else: what they see is what was on the wire."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
from support import Process

Json = dict[str, Any]
MODERN, HANDSHAKE = "2026-07-28", "2025-11-25"
INFO = {"name": "wire", "version": "1"}


def enveloped(params: Json, capabilities: Json | None = None) -> Json:
    """Put the modern era's envelope on."""
    reserved = "io.modelcontextprotocol/"
    envelope = {
        f"{reserved}protocolVersion": MODERN,
        f"{reserved}clientCapabilities": capabilities or {},
        f"{reserved}clientInfo": INFO,
    }
    return {**params, "_meta": {**params.get("_meta", {}), **envelope}}


@dataclass
class PipeClient:
    """Speaks to a child process, line by line. `heard` holds what was no answer."""

    process: Process
    modern: bool
    heard: list[Json] = field(default_factory=list)
    _ids: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        if not self.modern:
            hello = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": INFO}
            assert "result" in self.ask("initialize", hello)
            self.tell({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def tell(self, message: Json) -> None:
        assert self.process.popen.stdin is not None
        self.process.popen.stdin.write(json.dumps(message) + "\n")
        self.process.popen.stdin.flush()

    def begin(self, method: str, params: Json) -> int:
        """Send a request; do not wait."""
        id_ = next(self._ids)
        self.tell(
            {"jsonrpc": "2.0", "id": id_, "method": method, "params": enveloped(params) if self.modern else params}
        )
        return int(id_)

    def ask(self, method: str, params: Json) -> Json:
        """Send a request; return the whole response."""
        return self.finish(self.begin(method, params))

    def finish(self, id_: int) -> Json:
        """Read until the response with this id comes."""
        assert self.process.popen.stdout is not None
        while True:
            line = self.process.popen.stdout.readline()
            assert line, f"the gateway closed its output: {self.process.errors.seen[-10:]}"
            message: Json = json.loads(line)
            if message.get("id") == id_ and "method" not in message:
                return message
            self.heard.append(message)

    def call(self, tool: str, arguments: Json | None = None, **more: Any) -> Json:
        params = {"name": tool, **({} if arguments is None else {"arguments": arguments}), **more}
        return self.ask("tools/call", params)


@dataclass
class HttpClient:
    """Speaks to a URL, request by request."""

    url: str
    modern: bool
    headers: Mapping[str, str] = field(default_factory=dict)
    capabilities: Json = field(default_factory=dict)
    _ids: Any = field(default_factory=lambda: itertools.count(1))
    _session: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.modern:
            hello = {"protocolVersion": HANDSHAKE, "capabilities": self.capabilities, "clientInfo": INFO}
            response = self.post("initialize", hello)
            self._session = {"mcp-session-id": response.headers["mcp-session-id"], "mcp-protocol-version": HANDSHAKE}
            self._send({"jsonrpc": "2.0", "method": "notifications/initialized"}, {})

    def _send(self, message: Json, headers: Mapping[str, str]) -> httpx2.Response:
        accept = {"accept": "application/json, text/event-stream"}
        return httpx2.post(
            self.url, json=message, headers={**accept, **self._session, **self.headers, **headers}, timeout=60
        )

    def post(self, method: str, params: Json) -> httpx2.Response:
        """Send a request; return the HTTP response."""
        message = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        if not self.modern:
            return self._send(message, {})
        message["params"] = enveloped(params, self.capabilities)
        routing = {"mcp-protocol-version": MODERN, "mcp-method": method}
        if name := params.get("name", params.get("uri")):
            routing["mcp-name"] = name
        return self._send(message, routing)

    def ask(self, method: str, params: Json) -> Json:
        """Send a request; return the whole JSON-RPC response."""
        response = self.post(method, params)
        if response.headers["content-type"].startswith("text/event-stream"):
            events = [json.loads(line[6:]) for line in response.text.split("\n") if line.startswith("data: {")]
            return next(event for event in events if "id" in event and "method" not in event)
        return json.loads(response.text)

    def call(self, tool: str, arguments: Json | None = None, **more: Any) -> Json:
        params = {"name": tool, **({} if arguments is None else {"arguments": arguments}), **more}
        return self.ask("tools/call", params)
