"""A server over HTTP that answers a call in the wrong way once, and counts how often each was made."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlsplit

Json = dict[str, Any]

TOOLS = [
    {"name": "read", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}},
    {"name": "set", "inputSchema": {"type": "object"}, "annotations": {"idempotentHint": True}},
    {"name": "pay", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": False}},
    {"name": "warm", "inputSchema": {"type": "object"}},
]
MODERN = "2026-07-28"
HANDSHAKE = "2025-11-25"


@dataclass(frozen=True)
class Answer:
    """What comes first: interim responses, and a response; without a status the right one.

    `is_cut` closes the connection where the response would begin, in the middle of its body, or after it.
    With `forgets` the session is unknown from then on. With `to_notifications` it comes for each notification, and
    calls are answered as they should be.
    """

    status: str = ""
    body: Any = ""
    kind: str = "text/plain"
    interim: bytes = b""
    headers: tuple[str, ...] = ()
    is_cut: str = ""
    forgets: bool = False
    to_notifications: bool = False


@dataclass
class Counter:
    """The server: each path is a server of its own, named `<row>-<handshake or modern>`."""

    answers: dict[str, Answer]
    port: int = 0
    calls: list[tuple[str, str]] = field(default_factory=list)
    states: list[Any] = field(default_factory=list)
    _sessions: dict[str, int] = field(default_factory=dict)
    _lost: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, name: str) -> str:
        """Where a server is."""
        return f"http://127.0.0.1:{self.port}/{name}"

    def made(self, name: str, tool: str) -> int:
        """How often a call was made."""
        with self._lock:
            return self.calls.count((name, tool))

    def reply(self, path: str, headers: Json, message: Json) -> tuple[Answer, Json | None, list[str]]:
        """Return how to answer a message: in which way, with what, and with which headers."""
        name, is_target = path.strip("/").removesuffix("/target"), path.endswith("/target")
        modern, method, id_ = name.endswith("modern"), message.get("method"), message.get("id")
        with self._lock:
            session = headers.get("mcp-session-id")
            if session in self._lost:
                return self._wrong(name, id_), None, []
            more: list[str] = []
            if method == "initialize" and not modern:
                self._sessions[name] = number = self._sessions.get(name, 0) + 1
                more = [f"mcp-session-id: {name}-{number}"]
            if method == "tools/call":
                tool = message["params"]["name"]
                self.calls.append((name, tool))
                self.states.append(message["params"].get("requestState"))
                is_wrong = tool != "warm" and not self._row(name).to_notifications and not is_target
                if is_wrong and self.calls.count((name, tool)) == 1:
                    wrong = self._wrong(name, id_)
                    if wrong.forgets and session is not None:
                        self._lost.add(session)
                    return wrong, self._right(method, id_, modern=modern), []
            if id_ is None and self._row(name).to_notifications:
                return self._wrong(name, id_), None, []
        return Answer(), self._right(method, id_, modern=modern), more

    def _row(self, name: str) -> Answer:
        return self.answers.get(name.rpartition("-")[0], Answer())

    def _wrong(self, name: str, id_: Any) -> Answer:
        answer = self._row(name)
        body = json.loads(json.dumps(answer.body).replace('"ID"', json.dumps(id_))) if id_ else answer.body
        headers = tuple(line.replace("TARGET", f"/{name}/target").replace("SOON", _soon()) for line in answer.headers)
        written = body if isinstance(body, str) else json.dumps(body)
        return Answer(
            answer.status,
            f"event: message\ndata: {written}\n\n" if answer.kind == "text/event-stream" else written,
            answer.kind,
            answer.interim,
            headers,
            answer.is_cut,
            answer.forgets,
        )

    def _right(self, method: str | None, id_: Any, *, modern: bool) -> Json | None:
        if id_ is None:
            return None
        info = {"name": "counting", "version": "1"}
        capabilities: Json = {"tools": {}}
        results: dict[str, Json] = {
            "tools/list": {"tools": TOOLS, **({"ttlMs": 60_000, "cacheScope": "private"} if modern else {})},
            "tools/call": {"content": [{"type": "text", "text": "done"}]},
            "ping": {},
        }
        if modern:
            results["server/discover"] = {"supportedVersions": [MODERN], "capabilities": capabilities}
        else:
            results["initialize"] = {
                "protocolVersion": HANDSHAKE,
                "capabilities": capabilities,
                "serverInfo": info,
            }
        head = {"jsonrpc": "2.0", "id": id_}
        if method not in results:
            return {**head, "error": {"code": -32601, "message": "Method not found"}}
        return {**head, "result": {**results[method], **({"resultType": "complete"} if modern else {})}}


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.server.connections.append(self.connection)  # type: ignore[attr-defined]  # it is of the class below
        try:
            while self._exchange():
                pass
        except (ConnectionError, ValueError):
            pass

    def _exchange(self) -> bool:
        first = self.rfile.readline().decode("latin-1").split()
        if len(first) < 3:
            return False
        headers: dict[str, str] = {}
        while line := self.rfile.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = self.rfile.read(int(headers.get("content-length", "0")))
        if first[0] != "POST":
            self.wfile.write(b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n")
            return True
        counter: Counter = self.server.counter  # type: ignore[attr-defined]  # set where it is made
        answer, right, more = counter.reply(urlsplit(first[1]).path, headers, json.loads(body))
        return self._write(answer, right, more)

    def _write(self, answer: Answer, right: Json | None, more: list[str]) -> bool:
        self.wfile.write(answer.interim)
        if answer.is_cut == "head":
            return False
        status, kind, written = answer.status or "200 OK", answer.kind, answer.body
        if right is None and not answer.status:
            status, kind, written = "202 Accepted", "text/plain", ""
        elif not answer.status or written == "RIGHT":
            kind, written = "application/json", json.dumps(right)
        data = written.encode()
        lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", f"content-length: {len(data)}", *more, *answer.headers]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode())
        self.wfile.write(data[: len(data) // 2] if answer.is_cut == "body" else data)
        return not answer.is_cut and "connection: close" not in answer.headers


def _soon() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, _Handler)
        self.connections: list[socket.socket] = []

    def close_all(self) -> None:
        """Close what is open, as a process does that ends."""
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def counting(answers: dict[str, Answer], port: int = 0) -> Iterator[Counter]:
    """Serve these rows."""
    counter = Counter(answers)
    with _Server(("127.0.0.1", port)) as server:
        server.counter = counter  # type: ignore[attr-defined]  # for the handlers
        counter.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield counter
        finally:
            server.shutdown()
            server.close_all()
            thread.join(10)
