"""A server that writes for a call what a row of the table of wire cases has, byte for byte.

wire.py http LOG              http://127.0.0.1:PORT/ERA/WIRE, where WIRE is json or sse; the port is printed
wire.py stdio LOG ERA [CASE]

The tool `play` takes the name of a `case` and a `nonce`, which is written to the log: one line for each call. Three
cases are no rows: `hold` is not answered, `ask` pings the client with the id in `id` and says with which id it was
answered, and `echo` answers with the bytes of the argument `value` as they came. Under `/ERA/WIRE/CASE`, and with a
CASE behind ERA, everything is written as that case has it.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1]))

from hostile import CHUNKED, EVENTS, JSON, offered
from wire_cases import CASES, CLOSE, PLAIN, VALUE, Case

BY_NAME = {case.name: case for case in CASES}
REPLY = re.compile(rb'"id":\s?(.*?),\s?"(?:result|error)":', re.DOTALL)
LAST_CHUNK = b"0\r\n\r\n"
Json = dict[str, Any]


class Script:
    """What is to be written, for both transports."""

    def __init__(self, log: str, era: str) -> None:
        self.log, self.era = log, era
        self.held: Any = None

    def result(self, message: Json, value: str = VALUE) -> str:
        """Return the result of a request as JSON."""
        if message["method"] != "tools/call":
            found = offered(message["method"], self.era)
            return json.dumps(found).replace('"attack"', '"play"') if found is not None else ""
        return f'{{"content":[{{"type":"text","text":"played"}}],"structuredContent":{value}}}'

    def messages(self, case: Case, message: Json) -> Iterator[bytes]:
        """Fill in the messages of a case."""
        token = (message.get("params") or {}).get("_meta", {}).get("progressToken")
        result = self.result(message, case.value)
        filled = {"<id>": message["id"], "<held>": self.held, "<token>": token}
        for sent in case.sent if result else [PLAIN]:
            text = sent.decode() if isinstance(sent, bytes) and b"<" in sent else sent
            if isinstance(text, bytes):
                yield text
                continue
            if not result:
                text = text.replace('"result":<result>', '"error":{"code":-32601,"message":"Method not found"}')
            for mark, value in filled.items():
                text = text.replace(mark, json.dumps(value))
            yield text.replace("<result>", result).encode("utf-8", "surrogateescape")

    def play(self, message: Json, usual: str) -> tuple[Case | None, str]:
        """Return the case of a request, None if it is not to be answered, and the id to ask with."""
        if message["method"] != "tools/call":
            return BY_NAME[usual], ""
        arguments = message["params"]["arguments"]
        name = arguments.get("case", usual)
        if nonce := arguments.get("nonce"):
            with Path(self.log).open("a", encoding="utf-8") as log:
                log.write(f"{nonce}\n")
        if name == "hold":
            self.held = message["id"]
            return None, ""
        if name == "ask":
            return BY_NAME["plain"], arguments["id"]
        return BY_NAME["plain" if name == "echo" else name], ""


def answered(message: Json, id_: bytes) -> bytes:
    """Answer with the id of a reply."""
    return b'{"jsonrpc":"2.0","id":%d,"result":{"content":[],"structuredContent":{"v":%b}}}' % (message["id"], id_)


def echoed(message: Json, body: bytes) -> bytes:
    """Answer with the bytes of an argument, if a request is for that."""
    params = message.get("params") or {}
    if params.get("arguments", {}).get("case") != "echo":
        return b""
    found: Any = body
    for name in ("params", "arguments", "value"):
        found = msgspec.json.decode(found, type=dict[str, msgspec.Raw])[name]
    return answered(message, bytes(found))


def ping(id_: str) -> bytes:
    return b'{"jsonrpc":"2.0","id":%b,"method":"ping"}' % id_.encode()


def serve_stdio(log: str, era: str, usual: str = "plain") -> None:
    """Serve over pipes, one request after the other."""
    script = Script(log, era)

    def write(line: bytes) -> None:
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()

    for line in sys.stdin.buffer:
        message = json.loads(line)
        if "id" not in message or "method" not in message:
            continue
        case, asked = script.play(message, usual)
        if echo := echoed(message, line):
            write(echo)
        elif asked:
            write(ping(asked))
            reply = next(filter(None, map(REPLY.search, sys.stdin.buffer)))
            write(answered(message, reply[1]))
        elif case is not None:
            for sent in script.messages(case, message):
                write(sent)


class HttpServer:
    """Serves over HTTP."""

    def __init__(self, log: str) -> None:
        self.scripts = {era: Script(log, era) for era in ("handshake", "modern")}
        self.replies: asyncio.Queue[bytes] = asyncio.Queue()

    async def serve(self) -> None:
        server = await asyncio.start_server(self.serve_connection, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    async def serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests on a connection until a piece closes it."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = [int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")]
                body = await reader.readexactly(length[0]) if length else b"{}"
                path = [unquote(part) for part in head.split()[1].strip("/").split("/")]
                async for piece in self.pieces(head, path, body):
                    if piece == CLOSE:
                        writer.close()
                        return
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)  # one write of the socket each
        writer.close()

    async def pieces(self, head: str, path: list[str], body: bytes) -> AsyncIterator[bytes]:
        """Answer a request, piece by piece."""
        message = json.loads(body)
        if "id" not in message or "method" not in message:
            if reply := REPLY.search(body):
                self.replies.put_nowait(reply[1])
            status = b"405 Method Not Allowed" if head.startswith("GET") else b"202 Accepted"
            yield b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n"
            return
        if echo := echoed(message, body):
            self.scripts[path[0]].play(message, "plain")
            yield JSON + b"content-length: %d\r\n\r\n" % len(echo) + echo
            return
        async for piece in self.answer(path, message):
            yield piece

    async def answer(self, path: list[str], message: Json) -> AsyncIterator[bytes]:
        era, wire, *usual = path
        script = self.scripts[era]
        case, asked = script.play(message, *(usual or ["plain"]))
        if case is None:
            yield EVENTS + CHUNKED
        elif asked:
            yield EVENTS + CHUNKED
            async for piece in self.ask(asked, message):
                yield piece
        else:
            for piece in write(case, wire, script.messages(case, message)):
                yield piece

    async def ask(self, id_: str, message: Json) -> AsyncIterator[bytes]:
        """Ask the client, and answer with the id of its reply."""
        while not self.replies.empty():
            self.replies.get_nowait()
        yield chunk(ping(id_))
        yield chunk(answered(message, await self.replies.get())) + LAST_CHUNK


def write(case: Case, wire: str, messages: Iterator[bytes]) -> Iterator[bytes]:
    """Write the messages of a case as a response."""
    if case.http is not None:
        yield from case.http(next(messages))
    elif wire == "sse":
        yield EVENTS + CHUNKED
        yield from map(chunk, messages)
        yield LAST_CHUNK
    else:
        body = next(messages)
        yield JSON + b"content-length: %d\r\n\r\n" % len(body)
        yield body


def chunk(message: bytes) -> bytes:
    """Write a message as an event in a chunk."""
    event = b"data: " + message.replace(b"\n", b"\ndata: ") + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


if __name__ == "__main__":
    sys.set_int_max_str_digits(0)
    if sys.argv[1] == "http":
        asyncio.run(HttpServer(sys.argv[2]).serve())
    else:
        serve_stdio(*sys.argv[2:])
