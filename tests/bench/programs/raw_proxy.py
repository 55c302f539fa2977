"""The least that a proxy in Python can do: parse each message, take the prefix off the tool's name, pass it on.

raw_proxy.py --http PORT | --stdio   --to-http PORT | --to-stdio COMMAND...

Clients call tools as d__NAME. One thread of uvloop, orjson both ways, connections kept alive, no error handling.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import orjson
import uvloop

Answered = Callable[[bytes, bytes], None]
"""Takes the head of a response (empty for a line) and its body."""


def length_of(head: bytes) -> int:
    at = head.lower().find(b"content-length:")
    return int(head[at + 15 : head.find(b"\r\n", at)]) if at >= 0 else 0


def with_length(head: bytes, length: int) -> bytes:
    """Return a head, which ends with a line's end, with another length."""
    at = head.lower().find(b"content-length:")
    return b"%sContent-Length: %d%s" % (head[:at], length, head[head.find(b"\r\n", at) :]) if at >= 0 else head


def rewritten(message: Any) -> Any:
    if message.get("method") == "tools/call":
        message["params"]["name"] = message["params"]["name"][3:]
    return message


class Http(asyncio.Protocol):
    """One connection, on either side: cuts the bytes into heads and bodies."""

    def __init__(self) -> None:
        self.bytes, self.missing = bytearray(), 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.bytes += data
        while len(self.bytes) >= self.missing and (end := self.bytes.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.bytes[: end + 2])
            self.missing = end + 4 + length_of(head)
            if len(self.bytes) < self.missing:
                return
            body = bytes(self.bytes[end + 4 : self.missing])
            del self.bytes[: self.missing]
            self.missing = 0
            self.received(head, body)

    def received(self, head: bytes, body: bytes) -> None:
        raise NotImplementedError


class Upstream(Http):
    """A connection to the server; it serves one request at a time."""

    idle: list[Upstream] = []  # noqa: RUF012

    def received(self, head: bytes, body: bytes) -> None:
        answered = self.answered
        self.idle.append(self)
        fresh = orjson.dumps(orjson.loads(body)) if body else body
        answered(with_length(head, len(fresh)), fresh)

    def connection_lost(self, _: Exception | None) -> None:
        if self in self.idle:
            self.idle.remove(self)

    def ask(self, head: bytes, body: bytes, answered: Answered) -> None:
        self.answered = answered
        self.transport.write(head + b"\r\n" + body)


class ToHttp:
    """Passes messages on to a server over HTTP."""

    def __init__(self, port: int) -> None:
        self._port, self._session, self._opening = port, b"", set()

    async def _open(self, head: bytes, body: bytes, answered: Answered) -> None:
        _, upstream = await asyncio.get_running_loop().create_connection(Upstream, "127.0.0.1", self._port)
        upstream.ask(head, body, answered)

    def ask(self, head: bytes, body: bytes, answered: Answered) -> None:
        if body:
            body = orjson.dumps(rewritten(orjson.loads(body)))
        if Upstream.idle:
            Upstream.idle.pop().ask(with_length(head, len(body)), body, answered)
        else:
            task = asyncio.ensure_future(self._open(with_length(head, len(body)), body, answered))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def ask_line(self, line: bytes, answered: Answered) -> None:
        """Pass on what came over stdio: the headers must be made."""
        message = rewritten(orjson.loads(line))
        body = orjson.dumps(message)
        head = b"POST /mcp HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
        head += b"Accept: application/json, text/event-stream\r\n" + self._session
        if "_meta" in message.get("params", {}):
            head += b"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: %s\r\n" % message["method"].encode()
            if name := message["params"].get("name"):
                head += b"Mcp-Name: %s\r\n" % name.encode()

        def opened(response: bytes, answer: bytes) -> None:
            at = response.lower().find(b"mcp-session-id:")
            self._session = response[at : response.find(b"\r\n", at) + 2]
            answered(b"", answer)

        done = opened if message.get("method") == "initialize" else answered
        head += b"Content-Length: %d\r\n" % len(body)
        if Upstream.idle:
            Upstream.idle.pop().ask(head, body, done)
        else:
            task = asyncio.ensure_future(self._open(head, body, done))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)


class Child(asyncio.SubprocessProtocol):
    """A server over stdio: requests are told apart by numbers of our own."""

    def __init__(self) -> None:
        self._bytes, self._scanned, self._number = bytearray(), 0, 0
        self._waiting: dict[int, tuple[Answered, Any]] = {}

    def connection_made(self, transport: Any) -> None:
        self.transport, self._stdin = transport, transport.get_pipe_transport(0)

    def pipe_data_received(self, _: int, data: bytes) -> None:
        self._bytes += data
        start = 0
        while (end := self._bytes.find(b"\n", self._scanned)) >= 0:
            message = orjson.loads(self._bytes[start:end])
            start = self._scanned = end + 1
            answered, message["id"] = self._waiting.pop(message["id"])
            answered(b"", orjson.dumps(message))
        del self._bytes[:start]
        self._scanned = len(self._bytes)

    def ask_line(self, line: bytes, answered: Answered) -> None:
        message = rewritten(orjson.loads(line))
        if "id" in message:
            self._number += 1
            self._waiting[self._number] = (answered, message["id"])
            message["id"] = self._number
        self._stdin.write(orjson.dumps(message) + b"\n")

    def ask(self, _: bytes, body: bytes, answered: Answered) -> None:
        """Pass on what came over HTTP: the response must be made."""
        if b'"id"' not in body:
            answered(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n", b"")
            return
        session = b"Mcp-Session-Id: s1\r\n" if b'"initialize"' in body else b""
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + session
        self.ask_line(body, lambda _, line: answered(b"%sContent-Length: %d\r\n" % (head, len(line)), line))


async def serve_http(port: int, onward: Any) -> None:
    class Client(Http):
        def received(self, head: bytes, body: bytes) -> None:
            onward.ask(head, body, lambda head, body: self.transport.write(head + b"\r\n" + body))

    server = await asyncio.get_running_loop().create_server(Client, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


async def serve_stdio(onward: Any) -> None:
    loop = asyncio.get_running_loop()
    end = loop.create_future()
    out, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sys.stdout)

    def answered(_: bytes, body: bytes) -> None:
        if body:
            out.write(body + b"\n")

    class Lines(asyncio.Protocol):
        bytes = bytearray()

        def data_received(self, data: bytes) -> None:
            self.bytes += data
            *lines, rest = self.bytes.split(b"\n")
            self.bytes = bytearray(rest)
            for line in lines:
                onward.ask_line(line, answered)

        def connection_lost(self, _: Exception | None) -> None:
            end.set_result(None)

    await loop.connect_read_pipe(Lines, sys.stdin)
    await end


async def main(listen: str, *options: str) -> None:
    port, (to, *target) = (0, options) if listen == "--stdio" else (int(options[0]), options[1:])
    onward: Any = ToHttp(int(target[0])) if to == "--to-http" else None
    if not onward:
        _, onward = await asyncio.get_running_loop().subprocess_exec(Child, *target, stderr=None)
    await (serve_stdio(onward) if listen == "--stdio" else serve_http(port, onward))


uvloop.run(main(*sys.argv[1:]))
