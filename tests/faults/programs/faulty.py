"""A server that fails on demand, and else returns what it is called with; the standard library is all that it needs.

faulty.py stdio FOLDER NAME    a child process, whose fault is what the file FOLDER/NAME holds
faulty.py http FOLDER [PORT]   any number of servers, each at the path of its name; prints the port

No file means no fault. A fault lasts until its file is gone. A call may also ask for one, by the argument `fault`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import socket
import struct
import sys
import threading
from http import HTTPStatus
from pathlib import Path
from typing import Any

Json = dict[str, Any]
VERSION = "2025-11-25"
MIB = 1 << 20
SLOW = 3.0
"""How many seconds a slow call takes."""
TOOL = {"description": "Returns what it is called with", "inputSchema": {"type": "object"}}
STATUSES = {"401", "403", "404", "429", "500", "502"}
BAD = (b"{}", b"[1]", b"{", b"null")
NEWS = b'{"jsonrpc":"2.0","method":"notifications/tools/odd"}'
NOISE = (
    b'\x00\xff\xfe{"\n{\n[]\n{}\n[1, 2]\n"text"\nnull\n{"jsonrpc":"2.0"}\n{"jsonrpc":"2.0","id":987654,"result":{}}\n'
)

STREAMS = {
    "slow body": ("application/json", b" "),
    "endless": ("text/event-stream", b": still here\n\n"),
    "endless news": ("text/event-stream", b"data: " + NEWS + b"\n\n"),
}


def answer(message: Json, more: list[str]) -> Json | None:
    """Return the response to a message; None if it wants none. `more` are tools beside `echo`."""
    if "id" not in message or "method" not in message:
        return None
    head = {"jsonrpc": "2.0", "id": message["id"]}
    match message["method"]:
        case "initialize":
            info = {"name": "faulty", "version": "1"}
            result: Json = {"protocolVersion": VERSION, "capabilities": {"tools": {}}, "serverInfo": info}
        case "tools/list":
            result = {"tools": [{**TOOL, "name": name} for name in ("echo", *more)]}
        case "tools/call":
            said = {"arguments": message["params"].get("arguments"), "pid": os.getpid()}
            result = {"content": [], "structuredContent": said}
        case "ping":
            result = {}
        case _:
            return {**head, "error": {"code": -32601, "message": "Method not found"}}
    return {**head, "result": result}


class Fault:
    """What is wrong with one server at the moment."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @property
    def name(self) -> str:
        try:
            return self._file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    @property
    def tools(self) -> list[str]:
        """The tools that the server has beside `echo`: the words of the file FOLDER/NAME-tool."""
        try:
            return self._file.with_name(f"{self._file.name}-tool").read_text(encoding="utf-8").split()
        except FileNotFoundError:
            return []

    def over(self, name: str) -> None:
        """Wait until this fault is gone, after a sign that it has begun."""
        self._file.with_name(f"{self._file.name}-begun").touch()
        while self.name == name:
            threading.Event().wait(0.02)


def serve_stdio(fault: Fault) -> None:
    if fault.name == "dies at start":
        sys.exit("the faulty server was told not to start")
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if (response := answer(message, fault.tools)) is not None:
            name = (wanted(message) or fault.name) if message["method"] == "tools/call" else ""
            respond(fault, name, json.dumps(response).encode() + b"\n")


def wanted(message: Json) -> str:
    """Return the fault that a call asks for."""
    found = (message.get("params") or {}).get("arguments") or {}
    return str(found.get("fault", ""))


def respond(fault: Fault, name: str, line: bytes) -> None:  # noqa: C901  # one case a fault
    """Write a response, or do with it what the fault wants."""
    match name:
        case "dies during":
            print("the faulty server was told to die", file=sys.stderr, flush=True)
            os._exit(3)
        case "hangs":
            fault.over(name)
        case "slow":
            threading.Event().wait(SLOW)
        case "garbage":
            write(NOISE + random.Random(1).randbytes(MIB).replace(b"\n", b" ") + b"\n")
        case "halves":
            write(line[: len(line) // 2])
            threading.Event().wait(0.2)
            line = line[len(line) // 2 :]
        case "half a line":
            write(line[: len(line) // 2])
            os._exit(3)
        case "100 MB":
            line = line.replace(b'"content": []', b'"content": [], "padding": "' + b"x" * 100 * MIB + b'"')
        case "endless line":
            while fault.name == name:
                write(b"x" * MIB)
                threading.Event().wait(0.02)
    write(line)
    if name == "dies after":
        os._exit(3)


def write(piece: bytes) -> None:
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


class Http:
    """The servers of one port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sessions: dict[str, set[str]] = {}
        self._names = itertools.count(1)

    async def serve(self, port: int) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", port)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; say whether the connection can be used on."""
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        verb, path, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if verb != "POST":
            await send(writer, 405 if verb == "GET" else 200)
            return True
        file, message = self._folder / path.strip("/"), json.loads(body)
        fault, sessions = Fault(file), self._sessions.setdefault(path, set())
        name = wanted(message) or fault.name
        if name == "forgets":
            sessions.clear()
            file.unlink(missing_ok=True)
        if name == "forgets in words" and message["method"] == "tools/call":
            sessions.clear()
            file.unlink(missing_ok=True)
            await send(writer, 400, b"Bad Request: No active session")
            return True
        if name in STATUSES:
            return await refuse(writer, int(name))
        if message["method"] != "initialize" and headers.get("mcp-session-id") not in sessions:
            return await refuse(writer, 404 if "mcp-session-id" in headers else 400)
        response = answer(message, fault.tools)
        if response is None:
            await send(writer, 202)
            return True
        more = {}
        if message["method"] == "initialize":
            sessions.add(session := f"session-{next(self._names)}")
            more["mcp-session-id"] = session
        called = message["method"] == "tools/call"
        return await misbehave(writer, fault, name if called else "", json.dumps(response).encode(), more)


async def refuse(writer: asyncio.StreamWriter, status: int) -> bool:
    more = {429: {"retry-after": "1"}, 401: {"www-authenticate": "Bearer"}}.get(status, {})
    await send(writer, status, b"<html>no</html>", "text/html", more)
    return True


async def misbehave(writer: asyncio.StreamWriter, fault: Fault, name: str, body: bytes, more: Json) -> bool:
    """Send a response, or do with it what the fault wants; say whether the connection can be used on."""
    kind = "application/json"
    match name:
        case "early":
            writer.write(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
        case "slow headers":
            await over(fault, name)
        case "slow":
            await asyncio.sleep(SLOW)
        case "slow body" | "endless" | "endless news":
            kind, piece = STREAMS[name]
            writer.write(head(200, None, kind, more))
            while fault.name == name:
                await trickle(writer, piece)
            return False
        case "reset":
            writer.write(head(200, len(body), kind, more) + body[: len(body) // 2])
            await writer.drain()
            raw: socket.socket = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return False
        case "content type":
            body, kind = b"<html>hello</html>", "text/html"
        case "bad events":
            body, kind = b"data: \xff\xfe\n\n" + b"".join(map(event, (*BAD, body))), "text/event-stream"
    await send(writer, 200, body, kind, more)
    return True


def event(data: bytes) -> bytes:
    return b"event: message\ndata: " + data + b"\n\n"


async def over(fault: Fault, name: str) -> None:
    """Wait until a fault is gone."""
    while fault.name == name:  # noqa: ASYNC110  # it changes in another process
        await asyncio.sleep(0.02)


async def trickle(writer: asyncio.StreamWriter, piece: bytes) -> None:
    writer.write(piece)
    await writer.drain()
    await asyncio.sleep(0.02)


def head(status: int, length: int | None, kind: str, more: Json) -> bytes:
    headers = {"content-type": kind, **more}
    headers |= {"connection": "close"} if length is None else {"content-length": str(length)}
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


async def send(
    writer: asyncio.StreamWriter, status: int, body: bytes = b"", kind: str = "text/plain", more: Json | None = None
) -> None:
    writer.write(head(status, len(body), kind, more or {}) + body)
    await writer.drain()


def main() -> None:
    kind, folder, *rest = sys.argv[1:]
    if kind == "stdio":
        serve_stdio(Fault(Path(folder) / rest[0]))
    else:
        asyncio.run(Http(Path(folder)).serve(int(rest[0]) if rest else 0))


if __name__ == "__main__":
    main()
