"""Raw MCP clients for all that is not load: asking for lists, searching, waiting until a gateway is ready."""

from __future__ import annotations

import http.client
import json
import os
import select
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from .processes import Process

Json = dict[str, Any]
HANDSHAKE, MODERN = "2025-11-25", "2026-07-28"
INFO = {"name": "bench", "version": "1"}
RESERVED = "io.modelcontextprotocol/"


class Refused(Exception):
    """A server answered with an error, or not at all."""


class Client:
    """What the clients share: requests by name, in either era."""

    def __init__(self, era: str = "handshake") -> None:
        self.modern = era == "modern"
        self._id = 0
        self.session: dict[str, str] = {}

    def exchange(self, message: Json) -> Json:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def ask(self, method: str, params: Json | None = None) -> Json:
        """Send a request; return its result."""
        self._id += 1
        params = dict(params or {})
        if self.modern:
            envelope = {"protocolVersion": MODERN, "clientInfo": INFO, "clientCapabilities": {}}
            params["_meta"] = {RESERVED + key: value for key, value in envelope.items()}
        answer = self.exchange({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params})
        if "result" not in answer:
            raise Refused(json.dumps(answer.get("error"))[:400])
        result: Json = answer["result"]
        return result

    def greet(self) -> None:
        """Shake hands, if that is the era."""
        if self.modern:
            return
        hello = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": INFO}
        self.session["MCP-Protocol-Version"] = self.ask("initialize", hello)["protocolVersion"]
        self.exchange({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def tools(self) -> list[Json]:
        """Return all pages of the list of tools."""
        found: list[Json] = []
        cursor: str | None = ""
        while cursor is not None:
            page = self.ask("tools/list", {"cursor": cursor} if cursor else {})
            found += page["tools"]
            cursor = page.get("nextCursor")
        return found

    def call(self, name: str, arguments: Json) -> Json:
        return self.ask("tools/call", {"name": name, "arguments": arguments})


class HttpClient(Client):
    """Streamable HTTP over one connection."""

    def __init__(self, port: int, path: str, headers: Mapping[str, str], era: str) -> None:
        super().__init__(era)
        self._address, self._path, self._headers = ("127.0.0.1", port), path, dict(headers)
        self._connection = http.client.HTTPConnection(*self._address, timeout=120)

    def _post(self, path: str, message: Json) -> http.client.HTTPResponse:
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        headers |= {**self._headers, **self.session}
        if self.modern:
            headers |= {"MCP-Protocol-Version": MODERN, "Mcp-Method": message["method"]}
            if name := message.get("params", {}).get("name"):
                headers["Mcp-Name"] = name
        body = json.dumps(message).encode()
        with suppress(http.client.HTTPException, OSError):
            self._connection.request("POST", path, body, headers)
            return self._connection.getresponse()
        self._connection.close()  # it may have been closed while it lay idle
        self._connection.request("POST", path, body, headers)
        return self._connection.getresponse()

    def exchange(self, message: Json) -> Json:
        response = self._post(self._path, message)
        if session := response.getheader("Mcp-Session-Id"):
            self.session["Mcp-Session-Id"] = session
        if "id" not in message:
            response.read()
            return {}
        if "event-stream" in (response.getheader("Content-Type") or ""):
            try:
                while (event := next_event(response)) is not None:
                    found: Json = json.loads(event)
                    if found.get("id") == message["id"] and "method" not in found:
                        return found
                raise Refused("the stream ended without an answer")
            finally:
                self._connection.close()  # it may stay open after the answer
        body = response.read()
        try:
            answer: Json = json.loads(body)
        except ValueError:
            raise Refused(f"HTTP {response.status}: {body[:200]!r}") from None
        return answer

    def close(self) -> None:
        with suppress(OSError, http.client.HTTPException):
            if "Mcp-Session-Id" in self.session:
                self._connection.request("DELETE", self._path, headers={**self._headers, **self.session})
                self._connection.getresponse().read()
        self._connection.close()


def next_event(response: http.client.HTTPResponse) -> bytes | None:
    """Return the data of the next event of a stream."""
    data: list[bytes] = []
    while line := response.readline():
        if line.startswith(b"data:"):
            data.append(line[5:].strip())
        elif not line.strip() and any(data):
            return b"\n".join(data)
    return None


class SseClient(HttpClient):
    """The HTTP+SSE transport of 2024-11-05: one stream brings all answers."""

    def __init__(self, port: int, path: str, headers: Mapping[str, str], era: str) -> None:
        super().__init__(port, path, headers, era)
        self._stream = http.client.HTTPConnection(*self._address, timeout=120)
        self._stream.request("GET", path, headers={"Accept": "text/event-stream", **headers})
        self._events = self._stream.getresponse()
        endpoint = (next_event(self._events) or b"").decode() if self._events.status == http.HTTPStatus.OK else ""
        if not endpoint:
            raise Refused(f"HTTP {self._events.status} where a stream should be")
        self._endpoint = "/" + endpoint.split("/", 3)[3] if endpoint.startswith("http") else endpoint

    def exchange(self, message: Json) -> Json:
        response = self._post(self._endpoint, message)
        body = response.read()
        if response.status // 100 != 2:
            raise Refused(f"HTTP {response.status}: {body[:200]!r}")
        while "id" in message:
            event = next_event(self._events)
            if event is None:
                raise Refused("the stream ended without an answer")
            answer: Json = json.loads(event)
            if answer.get("id") == message["id"] and "method" not in answer:
                return answer
        return {}

    def close(self) -> None:
        self._connection.close()
        self._events.close()
        self._stream.close()


class StdioClient(Client):
    """The pipes of a child process."""

    def __init__(self, process: Process, era: str) -> None:
        super().__init__(era)
        self.process = process
        self._read = b""

    def _send(self, message: Json) -> None:
        stdin = self.process.popen.stdin
        assert stdin is not None
        try:
            stdin.write(json.dumps(message).encode() + b"\n")
            stdin.flush()
        except BrokenPipeError:
            raise Refused(f"it ended: {self.process.end_of_log()}") from None

    def _line(self, until: float) -> bytes:
        stdout = self.process.popen.stdout
        assert stdout is not None
        while b"\n" not in self._read:
            ready, _, _ = select.select([stdout], [], [], max(0.0, until - time.monotonic()))
            piece = os.read(stdout.fileno(), 1 << 20) if ready else b""
            if not piece:
                raise Refused(f"{'it ended' if ready else 'no answer'}: {self.process.end_of_log()}")
            self._read += piece
        line, self._read = self._read.split(b"\n", 1)
        return line

    def exchange(self, message: Json) -> Json:
        self._send(message)
        until = time.monotonic() + 120
        while "id" in message:
            try:
                answer: Json = json.loads(self._line(until))
            except ValueError:
                continue
            if "method" not in answer and answer.get("id") == message["id"]:
                return answer
            if "method" in answer and "id" in answer:
                self._send({"jsonrpc": "2.0", "id": answer["id"], "result": {}})
        return {}

    def close(self) -> None:
        stdin = self.process.popen.stdin
        assert stdin is not None
        with suppress(BrokenPipeError):
            stdin.close()
        with suppress(Exception):
            self.process.popen.wait(5)
        self.process.stop()
