"""The least that an ASGI application can do: it takes the prefix off the tool's name, and passes bytes on.

UPSTREAM_PORT=PORT uvicorn --app-dir . asgi_proxy:app
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

PORT = int(os.environ["UPSTREAM_PORT"])
idle: list[Upstream] = []


class Upstream(asyncio.Protocol):
    """A connection to the server; it serves one request at a time."""

    def __init__(self) -> None:
        self._bytes, self._head, self._needed = bytearray(), 0, 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def ask(self, data: bytes) -> asyncio.Future[tuple[bytes, bytes]]:
        self._answer: asyncio.Future[tuple[bytes, bytes]] = asyncio.get_running_loop().create_future()
        self._needed = 0
        self._transport.write(data)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._bytes += data
        if not self._needed:
            self._head = self._bytes.find(b"\r\n\r\n")
            if self._head < 0:
                return
            head = bytes(self._bytes[: self._head + 2])
            at = head.find(b"Content-Length:")
            self._needed = self._head + 4 + (int(head[at + 15 : head.find(b"\r\n", at)]) if at > 0 else 0)
        if len(self._bytes) >= self._needed:
            head, body = bytes(self._bytes[: self._head]), bytes(self._bytes[self._head + 4 : self._needed])
            del self._bytes[: self._needed]
            if not self._answer.done():
                self._answer.set_result((head, body))
            idle.append(self)

    def connection_lost(self, _: Exception | None) -> None:
        if self in idle:
            idle.remove(self)


async def live(receive: Any, send: Any) -> None:
    while True:
        event = await receive()
        await send({"type": event["type"] + ".complete"})
        if event["type"] == "lifespan.shutdown":
            return


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Serve one request."""
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    body, more = b"", True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    body = body.replace(b'"name":"d__', b'"name":"', 1)
    kept = (pair for pair in scope["headers"] if pair[0].startswith(b"mcp-") or pair[0] in {b"accept", b"content-type"})
    request = b"%s /mcp HTTP/1.1\r\nHost: d\r\n%sContent-Length: %d\r\n\r\n%s" % (
        scope["method"].encode(),
        b"".join(b"%s: %s\r\n" % pair for pair in kept),
        len(body),
        body,
    )
    if idle:
        upstream = idle.pop()
    else:
        _, upstream = await asyncio.get_running_loop().create_connection(Upstream, "127.0.0.1", PORT)
    head, answer = await upstream.ask(request)
    lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    headers = [(name.lower(), value.strip()) for name, _, value in lines]
    await send({"type": "http.response.start", "status": int(head[9:12]), "headers": headers})
    await send({"type": "http.response.body", "body": answer})
