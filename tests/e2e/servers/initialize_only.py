"""An MCP server of the handshake era that ends when its first message is not `initialize`.

initialize_only.py STARTS [--answer] [--seconds N]

It adds a line to STARTS for each start: its first message's method. With --answer it first answers with an error whose
id is null; it ends after N seconds.
"""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

TOOL = {"name": "echo", "description": "Returns a text", "inputSchema": {"type": "object"}}
RESULTS: dict[str, Any] = {
    "initialize": {
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "ending", "version": "1"},
    },
    "tools/list": {"tools": [TOOL]},
    "tools/call": {"content": [{"type": "text", "text": "done"}]},
}


def send(**message: Any) -> None:
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def main() -> None:
    parser = ArgumentParser()
    parser.add_argument("starts", type=Path)
    parser.add_argument("--answer", action="store_true")
    parser.add_argument("--seconds", type=float, default=0)
    options = parser.parse_args()
    first = True
    for line in sys.stdin:
        message = json.loads(line)
        if first:
            with options.starts.open("a") as file:
                file.write(f"{message['method']}\n")
            if message["method"] != "initialize":
                if options.answer:
                    send(id=None, error={"code": -32000, "message": "expect initialized request"})
                time.sleep(options.seconds)
                sys.exit("expect initialized request")
            first = False
        if "id" in message:
            send(id=message["id"], result=RESULTS[message["method"]])


if __name__ == "__main__":
    main()
