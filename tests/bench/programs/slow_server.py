"""A server over stdio that takes its time to start: slow_server.py NAME TOOLS SECONDS. It knows both eras."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

began = time.monotonic()
name, count, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
RESERVED = "io.modelcontextprotocol/"
SCHEMA = {"type": "object", "properties": {"text": {"type": "string", "description": "Text to echo back"}}}
TOOLS = [
    {"name": f"{name}_tool_{i}", "description": f"Echo text number {i} of {name}", "inputSchema": SCHEMA}
    for i in range(count)
]


def result_of(method: str, params: dict[str, Any], *, modern: bool) -> dict[str, Any] | None:
    if method == "initialize":
        version = min(str(params.get("protocolVersion")), "2025-11-25")
        return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": {"name": name, "version": "1"}}
    if method == "server/discover" and modern:
        info = {f"{RESERVED}serverInfo": {"name": name, "version": "1"}}
        return {"supportedVersions": ["2026-07-28", "2025-11-25"], "capabilities": {"tools": {}}, "_meta": info}
    if method == "tools/list":
        return {"tools": TOOLS}
    if method == "tools/call":
        return {"content": [{"type": "text", "text": str(params.get("arguments", {}).get("text"))}]}
    return {} if method == "ping" else None


time.sleep(max(0.0, seconds - (time.monotonic() - began)))
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message or "method" not in message:
        continue
    params = message.get("params") or {}
    modern = f"{RESERVED}protocolVersion" in (params.get("_meta") or {})
    result = result_of(message["method"], params, modern=modern)
    answer: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
    if result is None:
        answer["error"] = {"code": -32601, "message": "Method not found"}
    elif modern:
        answer["result"] = {"resultType": "complete", "ttlMs": 60000, "cacheScope": "public", **result}
    else:
        answer["result"] = result
    print(json.dumps(answer), flush=True)
