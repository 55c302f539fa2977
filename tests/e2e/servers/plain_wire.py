"""The plain server's two transports: lines on a pipe, and HTTP with or without sessions."""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from plain_talk import Channel, Json, Session


def serve_stdio(server: Any) -> None:
    lock = threading.Lock()

    def send(message: Json | None) -> None:
        if message is not None:
            with lock:
                sys.stdout.write(dumped(message) + "\n")
                sys.stdout.flush()

    session = server.open_session(send)

    def work(message: Json) -> None:
        send(server.answer(message, {}, session, Channel(send)))

    for line in sys.stdin:
        threading.Thread(target=work, args=(json.loads(line),), daemon=True).start()


def serve_http(server: Any, port: int, sessions: bool) -> None:  # noqa: C901  # one handler, many answers
    known: dict[str, Session] = {}
    everyone = server.open_session()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # noqa: PLR0911  # one refusal after the other
            message = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if elsewhere := os.environ.get("PLAIN_REDIRECT"):
                return self.reply(307, b"", more={"location": elsewhere})
            wanted = os.environ.get("PLAIN_TOKEN")
            if wanted and self.headers.get("authorization") != f"Bearer {wanted}":
                return self.reply(401, b"no")
            if server.modern and self.headers.get("mcp-method") != message.get("method"):
                return self.reply(400, b'{"jsonrpc":"2.0","id":null,"error":{"code":-32020,"message":"header"}}')
            session, more = self.session(message)
            if session is None:
                server.log("unknown session", self.headers.get("mcp-session-id"))
                return self.reply(404, b"unknown session")
            stream = _Stream(self)
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = server.answer(message, headers, session, Channel(stream.send, stream.is_closed))
            if answer is None:
                return self.reply(202, b"")
            if stream.open:
                return stream.send(answer)
            return self.reply(200, dumped(answer).encode(), "application/json", more)

        def session(self, message: Json) -> tuple[Session | None, dict[str, str]]:
            """Return the session of a request, and what names it if it is new."""
            if not sessions:
                return everyone, {}
            if message.get("method") != "initialize":
                return known.get(self.headers.get("mcp-session-id", "")), {}
            name = uuid.uuid4().hex
            known[name] = server.open_session()
            return known[name], {"mcp-session-id": name}

        def do_GET(self) -> None:
            session = known.get(self.headers.get("mcp-session-id", ""))
            if session is None:
                return self.reply(405, b"")
            stream = _Stream(self)
            stream.begin()
            session.beside = stream.send
            while not stream.is_closed():
                threading.Event().wait(0.05)
            session.beside = None
            return None

        def do_DELETE(self) -> None:
            known.clear() if self.path == "/sessions" else known.pop(self.headers.get("mcp-session-id", ""), None)
            server.log("DELETE", self.path)
            self.reply(200, b"")

        def reply(self, status: int, body: bytes, kind: str = "application/json", more: Any = None) -> None:
            self.send_response(status)
            for name, value in {"content-type": kind, "content-length": str(len(body)), **(more or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    class Listener(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    listener = Listener(("127.0.0.1", port), Handler)
    print(listener.server_address[1], flush=True)
    listener.serve_forever()


def dumped(message: Any) -> str:
    """Write JSON in plain characters, but for halves of them, which have none."""
    text = json.dumps(message, ensure_ascii=False)
    return text if text.isprintable() or text.encode("utf-8", "ignore").decode() == text else json.dumps(message)


class _Stream:
    """A response of server-sent events, which begins with the first of them."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self._handler = handler
        self._lock = threading.Lock()
        self.open = False

    def begin(self) -> None:
        self._handler.send_response(200)
        self._handler.send_header("content-type", "text/event-stream")
        self._handler.send_header("connection", "close")
        self._handler.end_headers()
        self.open = True

    def send(self, message: Json) -> None:
        with self._lock:
            if not self.open:
                self.begin()
            try:
                self._handler.wfile.write(f"data: {json.dumps(message)}\n\n".encode())
                self._handler.wfile.flush()
            except OSError:
                pass  # nobody listens any more

    def is_closed(self) -> bool:
        """Whether the client has closed its end."""
        connection = self._handler.connection
        try:
            ready, _, _ = select.select([connection], [], [], 0)
            return bool(ready) and not connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True
