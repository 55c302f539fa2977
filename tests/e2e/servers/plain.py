"""An MCP server of nothing but the standard library, so that no SDK can lose a field on the way out.

plain.py stdio|http [--era handshake|modern] [--port N] [--log FILE] [--start-delay SECONDS] [--sessions] [--tool NAME]
         [--place NAME] [--restless]

It writes a line to FILE for everything that the tests want to know: its start, each request, each notification.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MODERN = "2026-07-28"
ODD_RESULT = {
    "vendorTop": {"z": 1, "a": [1.0, 2**70, None, True, "é\u2028"]},
    "content": [
        {"type": "text", "text": "hi", "xUnknown": {"deep": None}},
        {"type": "hologram", "data": 3},
    ],
    "structuredContent": {"null": None, "big": 2**70, "float": 1.0, "order": {"b": 1, "a": 2}},
    "isError": False,
    "_meta": {"vendor/x": None},
}
ODD_TOOL = {
    "name": "odd",
    "title": "Odd",
    "description": "Returns what no SDK knows",
    "inputSchema": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"thing": {"$ref": "#/$defs/thing"}, "any": True},
        "$defs": {"thing": {"type": ["string", "null"], "x-order": [2, 1]}},
        "unevaluatedProperties": False,
    },
    "outputSchema": {"type": "object", "additionalProperties": True},
    "annotations": {"readOnlyHint": True, "vendorHint": 1.0},
    "icons": [{"src": "data:image/png;base64,AAAA"}],
    "_meta": {"vendor/tool": 2**65},
    "vendorField": None,
}
ODD_PROMPT = {
    "name": "greet",
    "title": "Greet",
    "arguments": [{"name": "who", "required": True, "xHint": 1.0}],
    "icons": [{"src": "data:image/png;base64,AAAA"}],
    "vendorField": None,
    "_meta": {"vendor/prompt": 2**65},
}
ODD_MESSAGES = {
    "description": None,
    "messages": [{"role": "user", "content": {"type": "hologram", "data": [1.0, None]}, "xUnknown": {"b": 1, "a": 2}}],
    "vendorTop": 2**70,
}
SIMPLE = {"type": "object"}


def odd_resource(place: str) -> dict[str, Any]:
    return {"uri": f"plain://{place}/a", "name": "a", "size": 2**60, "vendorField": {"z": None, "a": 1.0}}


def odd_template(place: str) -> dict[str, Any]:
    return {"uriTemplate": f"plain://{place}/items/{{id}}", "name": "items", "vendorField": [None]}


def odd_contents(uri: str) -> dict[str, Any]:
    return {"contents": [{"uri": uri, "text": "a", "vendorField": 2**66, "xNull": None}], "vendorTop": {"f": 1.0}}


TOOLS = [
    ODD_TOOL,
    {"name": "echo", "description": "Returns its arguments", "inputSchema": SIMPLE},
    {"name": "whoami", "description": "Returns the headers of the request and the process id", "inputSchema": SIMPLE},
    {"name": "slow", "description": "Waits, reporting progress", "inputSchema": SIMPLE},
    {"name": "crash", "description": "Ends the process", "inputSchema": SIMPLE},
    {"name": "fail", "description": "Answers with an error of its own", "inputSchema": SIMPLE},
    {"name": "grow", "description": "Adds a tool and announces it", "inputSchema": SIMPLE},
    {"name": "environment", "description": "Returns the names of its environment variables", "inputSchema": SIMPLE},
]


class Server:
    """Answers requests; `send` writes a message that is no answer."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.modern = arguments.era == "modern"
        self.log_path = arguments.log
        self.place = arguments.place
        self.restless = arguments.restless
        self.listens = arguments.transport == "stdio"
        self.subscription: Any = None
        self.more = arguments.tool
        self.tools = [*TOOLS, *({"name": name, "inputSchema": SIMPLE} for name in self.more)]
        self.cancelled: set[Any] = set()
        self.log("start", os.getpid())

    def log(self, what: str, value: Any) -> None:
        if self.log_path:
            with Path(self.log_path).open("a", encoding="utf-8") as file:
                file.write(json.dumps([what, value]) + "\n")

    def answer(self, message: dict[str, Any], headers: dict[str, str], send: Any) -> dict[str, Any] | None:
        method, params = message.get("method", ""), message.get("params") or {}
        self.log(method, params)
        if "id" not in message:
            if method == "notifications/cancelled":
                self.cancelled.add(params.get("requestId"))
            return None
        try:
            result = self.result(method, params, headers, send, message["id"])
        except Error as error:
            return {"jsonrpc": "2.0", "id": message["id"], "error": error.args[0]}
        if self.modern:
            result = {"resultType": "complete", **result}
        return {"jsonrpc": "2.0", "id": message["id"], "result": result}

    def result(  # noqa: C901, PLR0911, PLR0912  # one answer a method
        self, method: str, params: dict[str, Any], headers: dict[str, str], send: Any, id_: Any
    ) -> Any:
        match method:
            case "initialize" if not self.modern:
                info = {"name": "plain", "version": "1", "title": "A plain server"}
                capabilities = {"tools": {"listChanged": True}, "prompts": {}, "resources": {}, "completions": {}}
                return {"protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": info}
            case "server/discover" if self.modern:
                listens = {"listChanged": True} if self.listens else {}
                capabilities = {"tools": listens, "prompts": {}, "resources": {}, "completions": {}}
                return {"supportedVersions": [MODERN], "capabilities": capabilities, "instructions": "A plain server"}
            case "ping":
                return {}
            case "subscriptions/listen" if self.modern and self.listens:
                self.subscription = id_
                meta = {
                    "_meta": {"io.modelcontextprotocol/subscriptionId": id_},
                    "notifications": params["notifications"],
                }
                send({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": meta})
                threading.Event().wait()
            case "tools/list":
                if self.restless:
                    send({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
                at = int(params.get("cursor", 0))
                page = {"tools": self.tools[at : at + 5]}
                return {**page, "nextCursor": str(at + 5)} if at + 5 < len(self.tools) else page
            case "tools/call":
                return self.call(params["name"], params, headers, send, id_)
            case "prompts/list":
                return {"prompts": [ODD_PROMPT]}
            case "prompts/get" if params["name"] == "greet":
                return {**ODD_MESSAGES, "echo": params.get("arguments")}
            case "resources/list":
                return {"resources": [odd_resource(self.place)]}
            case "resources/templates/list":
                return {"resourceTemplates": [odd_template(self.place)]}
            case "resources/read":
                return odd_contents(params["uri"])
            case "completion/complete":
                return {"completion": {"values": ["one"], "total": 1, "vendorField": None}, "echo": params["ref"]}
        raise Error({"code": -32601, "message": "Method not found"})

    def call(  # noqa: C901, PLR0911  # one answer a tool
        self, name: str, params: dict[str, Any], headers: dict[str, str], send: Any, id_: Any
    ) -> Any:
        arguments = params.get("arguments") or {}
        match name:
            case "odd":
                return ODD_RESULT
            case "echo":
                return {"content": [], "structuredContent": {"arguments": arguments, "params": params}}
            case "whoami":
                return {"content": [], "structuredContent": {"headers": headers, "pid": os.getpid()}}
            case "environment":
                return {"content": [], "structuredContent": {"names": sorted(os.environ)}}
            case "slow":
                return self.slow(arguments, params, send, id_)
            case "crash":
                print("the plain server was told to crash", file=sys.stderr, flush=True)
                os._exit(3)
            case "fail":
                raise Error({"code": -31999, "message": "custom", "data": {"why": None}})
            case "grow":
                self.tools.append({"name": "grown", "description": "Zebra crossing", "inputSchema": SIMPLE})
                meta = {"_meta": {"io.modelcontextprotocol/subscriptionId": self.subscription}}
                changed = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
                if not self.modern:
                    send(changed)
                elif self.subscription is not None:
                    send({**changed, "params": meta})
                return {"content": []}
        if name in self.more:
            return {"content": [], "structuredContent": {"called": name}}
        raise Error({"code": -32602, "message": f"Unknown tool: {name}"})

    def slow(self, arguments: dict[str, Any], params: dict[str, Any], send: Any, id_: Any) -> Any:
        token = (params.get("_meta") or {}).get("progressToken")
        for step in range(arguments.get("steps", 1)):
            end = time.monotonic() + arguments.get("seconds", 0.1)
            while time.monotonic() < end:
                if id_ in self.cancelled:
                    self.log("stopped", id_)
                    return {"content": []}
                time.sleep(0.01)
            if token is not None:
                progress = {"progressToken": token, "progress": step + 1, "total": arguments.get("steps", 1)}
                send({"jsonrpc": "2.0", "method": "notifications/progress", "params": progress})
        return {"content": [{"type": "text", "text": "slow done"}]}


class Error(Exception):
    """A JSON-RPC error."""


def serve_stdio(server: Server) -> None:
    lock = threading.Lock()

    def send(message: dict[str, Any] | None) -> None:
        if message is not None:
            with lock:
                sys.stdout.write(json.dumps(message, ensure_ascii=False) + "\n")
                sys.stdout.flush()

    def work(message: dict[str, Any]) -> None:
        send(server.answer(message, {}, send))

    for line in sys.stdin:
        threading.Thread(target=work, args=(json.loads(line),), daemon=True).start()


def serve_http(server: Server, port: int, sessions: bool) -> None:  # noqa: C901  # one handler, many answers
    known: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["content-length"])))
            wanted = os.environ.get("PLAIN_TOKEN")
            if wanted and self.headers.get("authorization") != f"Bearer {wanted}":
                return self.reply(401, b"no")
            if server.modern and self.headers.get("mcp-method") != message.get("method"):
                return self.reply(400, b'{"jsonrpc":"2.0","id":null,"error":{"code":-32020,"message":"header"}}')
            session = self.headers.get("mcp-session-id")
            if sessions and message.get("method") != "initialize" and session not in known:
                server.log("unknown session", session)
                return self.reply(404, b"unknown session")
            sent: list[Any] = []
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = server.answer(message, headers, sent.append)
            if answer is None:
                return self.reply(202, b"")
            more = {}
            if sessions and message.get("method") == "initialize":
                more["mcp-session-id"] = uuid.uuid4().hex
                known.add(more["mcp-session-id"])
            if sent:
                events = "".join(f"data: {json.dumps(item)}\n\n" for item in [*sent, answer])
                return self.reply(200, events.encode(), "text/event-stream", more)
            return self.reply(200, json.dumps(answer, ensure_ascii=False).encode(), "application/json", more)

        def do_GET(self) -> None:
            self.reply(405, b"")

        def do_DELETE(self) -> None:
            known.clear() if self.path == "/sessions" else known.discard(self.headers.get("mcp-session-id", ""))
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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("transport", choices=["stdio", "http"])
    parser.add_argument("--era", choices=["handshake", "modern"], default="handshake")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log")
    parser.add_argument("--start-delay", type=float, default=0.0)
    parser.add_argument("--sessions", action="store_true")
    parser.add_argument("--tool", action="append", default=[])
    parser.add_argument("--place", default="plain")
    parser.add_argument("--restless", action="store_true")
    arguments = parser.parse_args()
    time.sleep(arguments.start_delay)
    server = Server(arguments)
    if arguments.transport == "stdio":
        serve_stdio(server)
    else:
        serve_http(server, arguments.port, arguments.sessions)


if __name__ == "__main__":
    main()
