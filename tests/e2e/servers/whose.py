"""An MCP server over HTTP that says whose credentials a call has brought, and does nothing else, fast.

whose.py prints the port at which it listens.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

TOOL = {"name": "whose", "description": "Returns the Authorization of the request", "inputSchema": {"type": "object"}}
HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "whose", "version": "1"},
}


def answer_of(message: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    match message["method"]:
        case "initialize":
            return {"result": HELLO}
        case "tools/list":
            return {"result": {"tools": [TOOL]}}
        case "tools/call":
            return {"result": {"content": [{"type": "text", "text": headers.get("authorization", "")}]}}
    return {"error": {"code": -32601, "message": "not here"}}


def response(status: str, body: bytes = b"") -> bytes:
    return b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        status.encode(),
        len(body),
        body,
    )


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            if not first.startswith("POST"):
                writer.write(response("405 Method Not Allowed"))
                continue
            message = json.loads(body)
            if "id" not in message:
                writer.write(response("202 Accepted"))
                continue
            answer = {"jsonrpc": "2.0", "id": message["id"], **answer_of(message, headers)}
            writer.write(response("200 OK", json.dumps(answer).encode()))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(listener.sockets[0].getsockname()[1], flush=True)
    await listener.serve_forever()


asyncio.run(main())
