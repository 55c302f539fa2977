"""A server over stdio that dies at the first call of each of its tools, and answers the following ones."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

TOOLS = [
    {"name": "read", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}},
    {"name": "set", "inputSchema": {"type": "object"}, "annotations": {"idempotentHint": True}},
    {"name": "pay", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": False}},
]
HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "dropping", "version": "1"},
}

folder = Path(sys.argv[1])
for line in sys.stdin:
    message = json.loads(line)
    answer = {"initialize": HELLO, "tools/list": {"tools": TOOLS}, "ping": {}}.get(message["method"])
    if message["method"] == "tools/call":
        with (folder / message["params"]["name"]).open("a+") as calls:
            calls.write("x")
            calls.seek(0)
            if len(calls.read()) == 1:
                calls.close()
                os._exit(1)
        answer = {"content": [{"type": "text", "text": "done"}]}
    if "id" in message:
        said = {"result": answer} if answer is not None else {"error": {"code": -32601, "message": "Method not found"}}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **said}), flush=True)
