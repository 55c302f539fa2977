"""Raw clients that hold many conversations at once: they hear progress, cancel, and answer questions."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from .clients import HANDSHAKE, INFO, MODERN, RESERVED

Json = dict[str, Any]
Heard = Callable[[Json], None]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
CAPABILITIES: Json = {"elicitation": {"form": {}}}
ANSWER = {"action": "accept", "content": {"name": "Ada"}}
PATIENCE = 60


class Idle(Exception):
    """A connection was closed before an answer began, as servers may do with one that lay idle."""


class Talker:
    """A client of either era."""

    def __init__(self, era: str) -> None:
        self.modern = era == "modern"
        self._ids = itertools.count(1)

    def request(self, method: str, params: Json) -> Json:
        """Return a request, in the era's envelope."""
        if self.modern:
            envelope = {"protocolVersion": MODERN, "clientInfo": INFO, "clientCapabilities": CAPABILITIES}
            meta = {RESERVED + name: value for name, value in envelope.items()}
            params = {**params, "_meta": {**params.get("_meta", {}), **meta}}
        return {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}

    async def greet(self) -> None:
        """Shake hands, if that is the era."""
        if not self.modern:
            hello = {"protocolVersion": HANDSHAKE, "capabilities": CAPABILITIES, "clientInfo": INFO}
            await self.ask(self.request("initialize", hello))
            await self.tell({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def ask(self, request: Json, heard: Heard = lambda _: None) -> Json:
        """Send a request; return the response. What comes before it goes to `heard`; questions are answered."""
        raise NotImplementedError

    async def tell(self, message: Json) -> None:
        raise NotImplementedError

    async def cancel(self, request: Json, asking: asyncio.Task[Any]) -> None:
        """Say that an answer is wanted no more."""
        if not (self.modern and isinstance(self, HttpTalker)):
            params = {"requestId": request["id"], "reason": "enough"}
            await self.tell({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)  # an answer that was on its way is none

    async def respond(self, question: Json) -> None:
        await self.tell({"jsonrpc": "2.0", "id": question["id"], "result": ANSWER})

    async def close(self) -> None:
        raise NotImplementedError


class HttpTalker(Talker):
    """Streamable HTTP: one connection for the calls, and one more for each message beside them."""

    def __init__(self, port: int, era: str) -> None:
        super().__init__(era)
        self._port = port
        self._session: dict[str, str] = {}
        self._streams: Streams | None = None

    def _head(self, verb: str, message: Json, length: int) -> bytes:
        headers = {"Host": f"127.0.0.1:{self._port}", "Content-Type": "application/json", **self._session}
        headers |= {"Accept": "application/json, text/event-stream", "Content-Length": str(length)}
        if self.modern:
            headers |= {"MCP-Protocol-Version": MODERN, "Mcp-Method": message.get("method", "")}
            if name := message.get("params", {}).get("name"):
                headers["Mcp-Name"] = name
        lines = [f"{verb} /mcp HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode()

    async def _open(self) -> Streams:
        return await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 24)

    async def ask(self, request: Json, heard: Heard = lambda _: None) -> Json:
        while self._streams:
            try:
                return await self._ask(self._streams, request, heard)
            except Idle:
                self._streams = None
        return await self._ask(await self._open(), request, heard)

    async def _ask(self, streams: Streams, request: Json, heard: Heard) -> Json:
        (reader, writer), self._streams = streams, None
        finished, answer = False, Json()
        try:
            body = json.dumps(request).encode()
            writer.write(self._head("POST", request, len(body)) + body)
            async with asyncio.timeout(PATIENCE):
                async for message in self._messages(reader):
                    if "method" in message and "id" in message:
                        await self.respond(message)
                    elif "method" in message:
                        if not answer:  # what comes after the answer comes too late
                            heard(message)
                    elif message.get("id") == request["id"]:
                        answer = message
            finished = True
        finally:
            if finished:
                self._streams = streams
            else:
                writer.close()
        return answer

    async def _messages(self, reader: asyncio.StreamReader) -> AsyncIterator[Json]:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Idle from error
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        if session := headers.get("mcp-session-id"):
            self._session = {"Mcp-Session-Id": session, "MCP-Protocol-Version": HANDSHAKE}
        if "chunked" not in headers.get("transfer-encoding", ""):
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            for message in _whole(body, headers.get("content-type", "")):
                yield message
            return
        text = b""
        while size := int(await reader.readline(), 16):
            text += (await reader.readexactly(size + 2))[:-2].replace(b"\r", b"")
            *events, text = text.split(b"\n\n")
            for event in events:
                if data := _data(event):
                    yield json.loads(data)
        await reader.readline()
        if text.strip() and "json" in headers.get("content-type", ""):
            yield json.loads(text)

    async def tell(self, message: Json) -> None:
        await self._beside("POST", message)

    async def _beside(self, verb: str, message: Json) -> None:
        reader, writer = await self._open()
        body = json.dumps(message).encode() if message else b""
        writer.write(self._head(verb, message, len(body)) + body)
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
        writer.close()

    async def close(self) -> None:
        if self._session:
            await self._beside("DELETE", {})
        if self._streams:
            self._streams[1].close()


class StdioTalker(Talker):
    """The pipes of a child process."""

    def __init__(self, process: asyncio.subprocess.Process, era: str) -> None:
        super().__init__(era)
        self._process = process
        self._waiting: dict[int, tuple[asyncio.Future[Json], Any]] = {}
        self._tokens: dict[Any, Heard] = {}
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            message = json.loads(line)
            if "method" in message and "id" in message:
                await self.respond(message)
            elif "method" in message:
                self._tokens.get(message.get("params", {}).get("progressToken"), lambda _: None)(message)
            elif (waiting := self._waiting.get(message["id"])) and not waiting[
                0
            ].done():  # it may be cancelled just now
                self._tokens.pop(waiting[1], None)  # what comes after the answer comes too late
                waiting[0].set_result(message)

    async def tell(self, message: Json) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        await self._process.stdin.drain()

    async def ask(self, request: Json, heard: Heard = lambda _: None) -> Json:
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        token = request["params"].get("_meta", {}).get("progressToken")
        self._waiting[request["id"]] = (answer, token)
        self._tokens[token] = heard
        try:
            await self.tell(request)
            async with asyncio.timeout(PATIENCE):
                return await answer
        finally:
            del self._waiting[request["id"]]
            self._tokens.pop(token, None)

    async def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await asyncio.wait_for(self._process.wait(), PATIENCE)
        await self._reading


def _whole(body: bytes, content_type: str) -> list[Json]:
    """Return the messages of a body that came in one piece: one, or the events of a stream that has ended."""
    events = body.replace(b"\r", b"").split(b"\n\n") if "event-stream" in content_type else []
    found = [data for event in events if (data := _data(event))] if events else [body] if body else []
    return [json.loads(each) for each in found]


def _data(event: bytes) -> bytes:
    """Return the data of a server-sent event."""
    return b"\n".join(line[5:] for line in event.split(b"\n") if line.startswith(b"data:")).strip()
