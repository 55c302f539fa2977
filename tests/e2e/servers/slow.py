"""A server that takes its time, until a file appears.

slow.py http FOLDER                  every slowness and every era at once: http://127.0.0.1:PORT/ERA/SLOWNESS
slow.py stdio FOLDER ERA SLOWNESS

SLOWNESS is what waits: `start` (the first answer), `list` or `call`. The first two wait for FOLDER/ERA-SLOWNESS-stdio
(or -http), a call for the file that its argument `gate` names. `sign` of a call is how it shows meanwhile that it is
alive: `progress` or `logs`, if the client has asked for that, or nothing. A process writes to standard error before it
reads, and adds a line to the file FOLDER/ERA-SLOWNESS.starts.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from hostile import CHUNKED, EVENTS, INFO, JSON

Json = dict[str, Any]
PAUSE = 0.25
"""Seconds between two signs of life."""

LINES = ("Downloading 1 of 3", "\x1b[2K\x1b[1mDownloading\x1b[0m 2 of 3")
TOOL = {"name": "work", "inputSchema": {"type": "object"}}


async def appear(gate: Path) -> None:
    """Wait for a file."""
    while not gate.exists():  # noqa: ASYNC110, ASYNC240  # a file tells nobody that it has come
        await asyncio.sleep(0.02)


def result(method: str, era: str) -> Json:
    """Answer everything but a call, at once."""
    about: Json = {"capabilities": {"tools": {}, "logging": {}}, "serverInfo": INFO}
    modern = {"ttlMs": 0, "cacheScope": "private", "resultType": "complete"}
    if method == "initialize" and era == "handshake":
        return {"result": {"protocolVersion": "2025-11-25", **about}}
    if method == "server/discover" and era == "modern":
        return {"result": {**about, **modern, "supportedVersions": ["2026-07-28"]}}
    if method == "tools/list":
        return {"result": {"tools": [TOOL], **modern}}
    if method in ("ping", "logging/setLevel"):
        return {"result": {}}
    return {"error": {"code": -32601, "message": "Method not found"}}


async def answer(message: Json, era: str, slowness: str, gate: Path) -> AsyncIterator[Json]:
    """Yield what is sent for a request: signs of life, and the response."""
    method, params = message["method"], message.get("params") or {}
    if method == "tools/call":
        arguments, meta = params["arguments"], params.get("_meta") or {}
        waiting = asyncio.create_task(appear(Path(arguments["gate"])))
        number = 0
        while not (await asyncio.wait((waiting,), timeout=PAUSE))[0]:
            number += 1
            if (sign := sign_of(arguments["sign"], meta, era, number)) is not None:
                yield {"jsonrpc": "2.0", **sign}
        text = {"type": "text", "text": "worked"}
        yield {"jsonrpc": "2.0", "id": message["id"], "result": {"content": [text], "resultType": "complete"}}
        return
    if slowness == "start" or (slowness == "list" and method == "tools/list"):
        await appear(gate)
    yield {"jsonrpc": "2.0", "id": message["id"], **result(method, era)}


def sign_of(kind: str, meta: Json, era: str, number: int) -> Json | None:
    """Return a notification that shows that a call is at work."""
    if kind == "progress" and "progressToken" in meta:
        return {
            "method": "notifications/progress",
            "params": {"progressToken": meta["progressToken"], "progress": number},
        }
    if kind == "logs" and (era == "handshake" or "io.modelcontextprotocol/logLevel" in meta):
        return {"method": "notifications/message", "params": {"level": "info", "data": number}}
    return None


async def serve_stdio(folder: Path, era: str, slowness: str) -> None:
    """Serve over pipes, each request in a task of its own."""
    with (folder / f"{era}-{slowness}.starts").open("a", encoding="utf-8") as starts:
        starts.write("started\n")
    for line in LINES:
        print(line, file=sys.stderr, flush=True)
    gate, loop, tasks = folder / f"{era}-{slowness}-stdio", asyncio.get_running_loop(), set[asyncio.Task[None]]()

    async def serve(message: Json) -> None:
        async for sent in answer(message, era, slowness, gate):
            print(json.dumps(sent), flush=True)

    while line := await loop.run_in_executor(None, sys.stdin.readline):
        message = json.loads(line)
        if "id" in message and "method" in message:
            tasks.add(asyncio.create_task(serve(message)))


async def serve_connection(folder: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests on a connection."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = [int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")]
            body = await reader.readexactly(length[0]) if length else b"{}"
            _, era, slowness = head.split()[1].split("/")
            async for piece in pieces(json.loads(body), era, slowness, folder / f"{era}-{slowness}-http"):
                writer.write(piece)
                await writer.drain()
    writer.close()


async def pieces(message: Json, era: str, slowness: str, gate: Path) -> AsyncIterator[bytes]:
    """Write the response to a message: a call's as events."""
    if "id" not in message or "method" not in message:
        yield b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"
        return
    if message["method"] != "tools/call":
        async for sent in answer(message, era, slowness, gate):
            body = json.dumps(sent).encode()
            yield JSON + b"content-length: %d\r\n\r\n" % len(body) + body
        return
    yield EVENTS + CHUNKED
    async for sent in answer(message, era, slowness, gate):
        event = b"data: %b\n\n" % json.dumps(sent).encode()
        yield b"%x\r\n%b\r\n" % (len(event), event)
    yield b"0\r\n\r\n"


async def serve_http(folder: Path) -> None:
    """Serve over HTTP."""
    server = await asyncio.start_server(lambda reader, writer: serve_connection(folder, reader, writer), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    where = Path(sys.argv[2])
    asyncio.run(serve_http(where) if sys.argv[1] == "http" else serve_stdio(where, *sys.argv[3:]))
