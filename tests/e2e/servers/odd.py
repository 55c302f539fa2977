"""An MCP server of the handshake era over standard input and output that lists what a file holds.

odd.py FILE

FILE has the items of each list, by method, as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

FIELDS = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
}
HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}, "prompts": {}, "resources": {}},
    "serverInfo": {"name": "odd", "version": "1"},
}


def answer(method: str, params: Any, lists: dict[str, list[Any]]) -> dict[str, Any]:
    """Return what the response to a request has beside its id."""
    if method == "initialize":
        return {"result": HELLO}
    if method in FIELDS:
        return {"result": {FIELDS[method]: lists.get(method, [])}}
    if method == "tools/call":
        return {"result": {"content": [{"type": "text", "text": f"called {params['name']}"}]}}
    return {"error": {"code": -32601, "message": "Method not found"}}


def main() -> None:
    lists = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message and "method" in message:
            body = answer(message["method"], message.get("params"), lists)
            print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **body}), flush=True)


if __name__ == "__main__":
    main()
