"""A small MCP server with tools as large as those of real servers: notebook.py NAME [--tools N] [--fail]."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

ABOUT = (
    "It looks in the {name} for what the arguments describe, in the order in which it was written, and leaves out what "
    "has been archived. Use it when a person asks for something that is kept there, and name the part of it that "
    "answers the question. The answer is text, with a line for each thing that was found, the newest first."
)
VERBS = ("find", "list", "read", "write", "move", "copy", "rename", "archive", "restore", "count")


def describe_tool(name: str, number: int) -> dict[str, Any]:
    verb = f"{VERBS[number % len(VERBS)]}_{number}"
    properties = {
        key: {"type": "string", "description": f"{text} that counts, as the {name} has it; without it, all of them"}
        for key, text in (("title", "The title"), ("author", "Who wrote it"), ("since", "The first day"))
    }
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"name": verb, "description": ABOUT.format(name=name), "inputSchema": schema}


def answer(name: str, tools: list[dict[str, Any]], method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    match method:
        case "initialize":
            info = {"name": name, "version": "1.0"}
            return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": info}
        case "tools/list":
            return {"tools": tools}
        case "tools/call":
            text = f"{name}: {params['name']}: {os.environ.get('NOTEBOOK_KEY', 'no key')}"
            return {"content": [{"type": "text", "text": text}]}
        case "ping":
            return {}
    return None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--tools", type=int, default=10)
    parser.add_argument("--fail", action="store_true")
    parser.add_argument("--token")
    options = parser.parse_args()
    if options.fail:
        sys.exit("this server cannot start: its database is locked")
    tools = [describe_tool(options.name, number) for number in range(options.tools)]
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message or "method" not in message:
            continue
        result = answer(options.name, tools, message["method"], message.get("params", {}))
        reply = {"result": result} if result is not None else {"error": {"code": -32601, "message": "no such method"}}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **reply}), flush=True)


if __name__ == "__main__":
    main()
