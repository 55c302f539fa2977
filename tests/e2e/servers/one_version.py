"""An MCP server of the handshake era that refuses each protocol version but one, and says which it has.

one_version.py stdio
one_version.py http STATUS      refuses with this HTTP status; the port is printed
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

VERSION = "2025-03-26"
RESULTS: dict[str, Any] = {
    "initialize": {
        "protocolVersion": VERSION,
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "o", "version": ""},
    },
    "tools/list": {"tools": [{"name": "echo", "description": "Returns a text", "inputSchema": {"type": "object"}}]},
    "tools/call": {"content": [{"type": "text", "text": "done"}]},
}


def answer(message: dict[str, Any]) -> dict[str, Any]:
    """Answer a request."""
    method, asked = message["method"], (message.get("params") or {}).get("protocolVersion")
    if method not in RESULTS:
        outcome: dict[str, Any] = {"error": {"code": -32601, "message": "Method not found"}}
    elif method == "initialize" and asked != VERSION:
        data = {"supported": ["2024-10-07", VERSION], "requested": asked}
        outcome = {"error": {"code": -32602, "message": "Unsupported protocol version", "data": data}}
    else:
        outcome = {"result": RESULTS[method]}
    return {"jsonrpc": "2.0", "id": message["id"], **outcome}


class Handler(BaseHTTPRequestHandler):
    """Answers over HTTP, without sessions."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        response = answer(message) if "id" in message else None
        body = b"" if response is None else json.dumps(response).encode()
        self.send_response(202 if response is None else int(sys.argv[2]) if "error" in response else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.send_error(405)

    def log_message(self, format: str, *_: Any) -> None:
        """Log nothing."""


if sys.argv[1] == "http":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
for line in sys.stdin:
    request = json.loads(line)
    if "id" in request:
        print(json.dumps(answer(request)), flush=True)
