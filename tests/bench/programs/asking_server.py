"""A server that reports progress, waits until it is cancelled, and asks back.

asking_server.py handshake|modern --http PORT | --stdio

It is of one era alone, and needs nothing but the standard library. Its tools: `echo`; `steps`, which reports progress
three times; `wait`, which reports progress once and then waits for its cancellation; `ask`, which asks the user for a
name; `counts`, which says how many calls were cancelled and how many still wait.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

Json = dict[str, Any]
Send = Callable[[Json], Awaitable[None]]
era, listen, *options = sys.argv[1:]
MODERN = era == "modern"
VERSION = "2026-07-28" if MODERN else "2025-11-25"
RESERVED = "io.modelcontextprotocol/"
NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
QUESTION = {"mode": "form", "message": "Your name?", "requestedSchema": NAME}
NAMES = ("echo", "steps", "wait", "ask", "counts")
TOOLS = [{"name": name, "description": f"Does {name}", "inputSchema": {"type": "object"}} for name in NAMES]
counts = {"cancelled": 0, "waiting": 0}
numbers = itertools.count(1)
running: dict[tuple[str, Any], asyncio.Task[None]] = {}
asked: dict[str, asyncio.Future[Json]] = {}


def text(said: Any) -> Json:
    return {"content": [{"type": "text", "text": said if isinstance(said, str) else json.dumps(said)}]}


async def report(send: Send, params: Json, step: int) -> None:
    token = (params.get("_meta") or {}).get("progressToken")
    if token is not None:
        progress = {"progressToken": token, "progress": step, "total": 3}
        await send({"jsonrpc": "2.0", "method": "notifications/progress", "params": progress})


async def ask(send: Send, params: Json) -> Json:
    if MODERN:
        if answers := params.get("inputResponses"):
            return text({"state": params.get("requestState"), "answer": answers["name"]})
        requests = {"name": {"method": "elicitation/create", "params": QUESTION}}
        state = f"state-{next(numbers)}"
        return {"resultType": "input_required", "inputRequests": requests, "requestState": state}
    number = f"question-{next(numbers)}"
    answer = asked[number] = asyncio.get_running_loop().create_future()
    try:
        await send({"jsonrpc": "2.0", "id": number, "method": "elicitation/create", "params": QUESTION})
        return text({"answer": await answer})
    finally:
        del asked[number]


async def call(send: Send, params: Json) -> Json:
    name = params["name"]
    if name == "ask":
        return await ask(send, params)
    if name == "steps":
        for step in (1, 2, 3):
            await report(send, params, step)
    if name == "wait":
        counts["waiting"] += 1
        try:
            await report(send, params, 1)
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            counts["cancelled"] += 1
            raise
        finally:
            counts["waiting"] -= 1
    return text(counts if name == "counts" else params.get("arguments", {}))


async def result_of(send: Send, method: str, params: Json) -> Json | None:
    info = {"name": "asking", "version": "1"}
    if method == "tools/call":
        return await call(send, params)
    if method == "tools/list":
        return {"tools": TOOLS, **({"ttlMs": 300000, "cacheScope": "public"} if MODERN else {})}
    if method == "initialize" and not MODERN:
        return {"protocolVersion": VERSION, "capabilities": {"tools": {}}, "serverInfo": info}
    if method == "server/discover" and MODERN:
        about = {"_meta": {f"{RESERVED}serverInfo": info}, "ttlMs": 3600000, "cacheScope": "public"}
        return {"supportedVersions": [VERSION], "capabilities": {"tools": {}}, "serverInfo": info, **about}
    return {} if method == "ping" else None


async def answer(send: Send, message: Json) -> None:
    """Answer one request."""
    result = await result_of(send, message["method"], message.get("params") or {})
    reply: Json = {"jsonrpc": "2.0", "id": message["id"]}
    if result is None:
        reply["error"] = {"code": -32601, "message": "Method not found"}
    else:
        reply["result"] = {"resultType": "complete", **result} if MODERN else result
    await send(reply)


def notice(session: str, message: Json) -> None:
    """Take a notification, or the answer to a question."""
    if message.get("method") == "notifications/cancelled":
        task = running.get((session, message["params"]["requestId"]))
        if task:
            task.cancel()
    elif "method" not in message and (question := asked.get(message.get("id", ""))) and not question.done():
        question.set_result(message.get("result") or {"refused": message.get("error")})


async def run(session: str, message: Json, send: Send) -> None:
    """Answer a request in a task that can be cancelled."""
    key = (session, message["id"])
    running[key] = asyncio.ensure_future(answer(send, message))
    try:
        await running[key]
    finally:
        running.pop(key).cancel()


async def serve_stdio() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tasks: set[asyncio.Task[None]] = set()

    async def send(message: Json) -> None:
        print(json.dumps(message), flush=True)

    while line := await reader.readline():
        message = json.loads(line)
        if "id" in message and "method" in message:
            task = asyncio.ensure_future(run("", message, send))
            tasks.add(task)
            task.add_done_callback(lambda done: (tasks.discard(done), done.cancelled() or done.exception()))
        else:
            notice("", message)


class Connection:
    """One connection over HTTP: each request is answered with a stream of events."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def _request(self) -> tuple[str, dict[str, str], bytes]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        length = int(headers.get("content-length", "0"))
        return head[0].split(" ")[0], headers, await self._reader.readexactly(length)

    def _respond(self, status: str, body: bytes = b"") -> None:
        self._writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    async def _send(self, message: Json) -> None:
        event = b"data: " + json.dumps(message).encode() + b"\n\n"
        self._writer.write(b"%x\r\n%s\r\n" % (len(event), event))
        await self._writer.drain()

    async def _answer(self, session: str, message: Json) -> None:
        opened = f"Mcp-Session-Id: session-{next(numbers)}\r\n" if message["method"] == "initialize" else ""
        kind = "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked"
        self._writer.write(f"HTTP/1.1 200 OK\r\n{opened}{kind}\r\n\r\n".encode())
        task = asyncio.ensure_future(run(session, message, self._send))
        gone = asyncio.ensure_future(self._reader.read(1))  # nobody sends on before the answer: it is the end
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done() and MODERN:
            task.cancel()
        with suppress(asyncio.CancelledError, ConnectionError):
            await task
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone
        self._writer.write(b"0\r\n\r\n")

    async def serve(self) -> None:
        """Serve until the connection is closed."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                verb, headers, body = await self._request()
                if verb != "POST":
                    self._respond("200 OK" if verb == "DELETE" else "405 Method Not Allowed")
                    continue
                message, session = json.loads(body), headers.get("mcp-session-id", "")
                if not MODERN and message.get("method") != "initialize" and not session:
                    self._respond("400 Bad Request")
                elif "id" in message and "method" in message:
                    await self._answer(session, message)
                else:
                    notice(session, message)
                    self._respond("202 Accepted")
        self._writer.close()


async def serve_http(port: int) -> None:
    server = await asyncio.start_server(lambda *streams: Connection(*streams).serve(), "127.0.0.1", port, limit=1 << 24)
    await server.serve_forever()


asyncio.run(serve_stdio() if listen == "--stdio" else serve_http(int(options[0])))
