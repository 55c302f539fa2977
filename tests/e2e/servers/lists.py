"""A server whose lists are odd, byte for byte.

lists.py http             every oddity and every era at once: http://127.0.0.1:PORT/ERA/ODDITY; the port is printed
lists.py stdio ERA ODDITY

An oddity of a list is LIST:KIND, where LIST is tools or prompts. Tools are `t0` to `t3`, prompts `p0` to `p3`, two on a
page; `call` is a tool beside them.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from hostile import INFO, JSON

Json = dict[str, Any]
NEVER, END, REFUSED = "never", "end", "refused"
"""What comes in the place of an answer: nothing, the end of the connection or of the process, HTTP 500."""
TEXT = [{"type": "text", "text": "called"}]
NOT_FOUND = {"error": {"code": -32601, "message": "Method not found"}}
INVALID = {"error": {"code": -32602, "message": "invalid cursor"}}


def nested(levels: int) -> str:
    """Write a tool with so many objects in each other in its schema."""
    schema = '{"type":"object","properties":{"in":' * levels + "{}" + "}}" * levels
    return f'{{"name":"deep","description":"deep","inputSchema":{schema}}}'


def item(kind: str, number: int) -> str:
    """Write a definition."""
    name = f"{kind[0]}{number}" if number >= 0 else "call"
    return json.dumps(
        {"name": name, "description": name, **({"inputSchema": {"type": "object"}} if kind == "tools" else {})}
    )


def page(kind: str, numbers: list[int], following: object = None, *more: str) -> str:
    """Write a result of a list."""
    first = [item(kind, -1)] if kind == "tools" and 0 in numbers else []
    items = ",".join([*first, *(item(kind, number) for number in numbers), *more])
    cursor = "" if following is None else f',"nextCursor":{json.dumps(following)}'
    return f'{{"{kind}":[{items}],"resultType":"complete","ttlMs":0,"cacheScope":"private"{cursor}}}'


def listed(kind: str, how: str, cursor: object) -> str | Json:
    """Answer a list request in a certain way."""
    if how.startswith("deep") or how == "huge":
        huge = f'{{"name":"huge","inputSchema":{{"default":{"9" * 5000}}}}}'
        return page(kind, [0, 1], None, huge if how == "huge" else nested(int(how[4:])), item(kind, 2))
    if how == "at-once":
        return END
    if how in ("same", "fresh", "last", "digits"):
        return endless(kind, how, cursor)
    if cursor is None:
        return page(kind, [0, 1], {"empty": "", "number": 1}.get(how, "2"))
    if how == "error" or (how == "number" and cursor != 1):
        return INVALID
    return how if how in (NEVER, END, REFUSED) else page(kind, [2, 3])


def endless(kind: str, how: str, cursor: object) -> str:
    """List the same with each cursor."""
    if how == "digits":
        return page(kind, [0, 1])[:-1] + f',"nextCursor":{"9" * 5000}}}'
    if how == "fresh":
        return page(kind, [0, 1], str(int(str(cursor or 0)) + 1))
    return page(kind, [0, 1], "again" if how == "same" else "")


def answer(message: Json, era: str, oddity: str) -> str:
    """Write the response to a request, or what comes in its place."""
    kind, _, how = oddity.partition(":")
    method, params = message["method"], message.get("params") or {}
    about = {"capabilities": {"tools": {}, "prompts": {}}, "serverInfo": INFO}
    found: str | Json = NOT_FOUND
    if method == "initialize" and era == "handshake":
        found = json.dumps({"protocolVersion": "2025-11-25", **about})
    elif method == "server/discover" and era == "modern":
        more = {"supportedVersions": ["2026-07-28"], "ttlMs": 0, "cacheScope": "private", "resultType": "complete"}
        found = json.dumps({**about, **more})
    elif method.endswith("/list"):
        asked = method.removesuffix("/list")
        found = listed(asked, how if asked == kind else "", params.get("cursor"))
    elif method in ("tools/call", "ping"):
        found = json.dumps({"content": TEXT, "resultType": "complete"} if method == "tools/call" else {})
    if found in (NEVER, END, REFUSED):
        return str(found)
    said = f'"result":{found}' if isinstance(found, str) else json.dumps(found)[1:-1]
    return f'{{"jsonrpc":"2.0","id":{json.dumps(message["id"])},{said}}}'


def serve_stdio(era: str, oddity: str) -> None:
    """Serve over pipes."""
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if "id" not in message or "method" not in message:
            continue
        response = answer(message, era, oddity)
        if response in (END, REFUSED):
            return
        if response != NEVER:
            sys.stdout.buffer.write(response.encode() + b"\n")
            sys.stdout.buffer.flush()


async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests on a connection."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = [int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")]
            body = await reader.readexactly(length[0]) if length else b"{}"
            _, era, oddity = head.split()[1].split("/")
            async for piece in pieces(head, json.loads(body), era, oddity):
                writer.write(piece)
                await writer.drain()
    writer.close()


async def pieces(head: str, message: Json, era: str, oddity: str) -> AsyncIterator[bytes]:
    """Write the response to a message."""
    if "id" not in message or "method" not in message:
        status = b"405 Method Not Allowed" if head.startswith("GET") else b"202 Accepted"
        yield b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n"
        return
    response = answer(message, era, oddity).encode()
    match response.decode()[:8]:
        case "never":
            await asyncio.Event().wait()
        case "end":
            raise ConnectionResetError
        case "refused":
            yield b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"
        case _:
            yield JSON + b"content-length: %d\r\n\r\n" % len(response) + response


async def serve_http() -> None:
    """Serve over HTTP."""
    server = await asyncio.start_server(serve_connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "http":
        asyncio.run(serve_http())
    else:
        serve_stdio(*sys.argv[2:])
