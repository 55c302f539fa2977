"""A server that greets as it should and lists one tool, whose call is answered with an attack.

hostile.py http            every attack and every era at once: http://127.0.0.1:PORT/ERA/ATTACK; the port is printed
hostile.py stdio ERA ATTACK
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

Json = dict[str, Any]
BLOCK = 64 << 10
INFO = {"name": "hostile", "version": "1"}
PING = b'{"jsonrpc":"2.0","id":"ping","method":"ping"}'
LOG = b'{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}'
EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"
TEXT = {"content": [{"type": "text", "text": "so far"}]}


def offered(method: str, era: str) -> Json | None:
    """Answer everything but a call."""
    capabilities: Json = {"tools": {}, "logging": {}}
    if method == "initialize" and era == "handshake":
        return {"protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": INFO}
    if method == "server/discover" and era == "modern":
        about = {"supportedVersions": ["2026-07-28"], "capabilities": capabilities, "serverInfo": INFO}
        return {**about, "ttlMs": 0, "cacheScope": "private", "resultType": "complete"}
    if method == "tools/list":
        tools = [{"name": "attack", "inputSchema": {"type": "object"}}]
        return {"tools": tools, "resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
    return {} if method in ("ping", "logging/setLevel") else None


def response(id_: Any, method: str, era: str) -> bytes:
    """Write the answer to everything but a call."""
    result = offered(method, era)
    said = {"result": result} if result is not None else {"error": {"code": -32601, "message": "Method not found"}}
    return json.dumps({"jsonrpc": "2.0", "id": id_, **said}).encode()


def answer(id_: Any, value: bytes = b'"x"') -> bytes:
    """Answer a call; `value` is JSON that stands in it."""
    result = json.dumps(TEXT)[1:-1].encode()
    return b'{"jsonrpc":"2.0","id":%b,"result":{%b,"structuredContent":{"value":%b}}}' % (
        json.dumps(id_).encode(),
        result,
        value,
    )


def pretty(id_: Any, how: str) -> bytes:
    """Answer a call in JSON over several lines."""
    text = json.dumps(json.loads(answer(id_)), indent=2)
    return {
        "indent": text,
        "crlf": text.replace("\n", "\r\n"),
        "cr": text.replace("\n", "\r"),
        "around": f"\r\n\n{text}\r\n\n",
        "bom": f"\ufeff{text}",
    }[how].encode()


def endless(piece: bytes) -> Iterator[bytes]:
    """Repeat a piece for ever, in blocks."""
    block = piece * max(1, BLOCK // len(piece))
    while True:
        yield block


def bomb(layers: int) -> bytes:
    """Pack half a gigabyte of nothing."""
    packed = b"".join([gzip.compress(bytes(1 << 20), 9)] * 512) if layers == 1 else bomb(1)
    return packed if layers == 1 else gzip.compress(packed, 9)


def answers(attack: str, id_: Any) -> Iterator[bytes]:
    """Answer a call over HTTP; the connection closes at the end."""
    token = json.dumps({"progressToken": id_, "progress": 1}).encode()
    progress = b'{"jsonrpc":"2.0","method":"notifications/progress","params":%b}' % token
    floods = {
        "sse-line": (EVENTS + b"\r\ndata: ", b"x"),
        "sse-data": (EVENTS + b"\r\n", b"data: xxxxxxxx\n"),
        "sse-id": (EVENTS + b"\r\nid: ", b"1"),
        "sse-comments": (EVENTS + b"\r\n", b": hi\n\n"),
        "sse-empty": (EVENTS + b"\r\n", b"data:\n\n"),
        "sse-tiny": (EVENTS + b"\r\n", b"data:x\n\n"),
        "sse-messages": (EVENTS + b"\r\n", b"data: %b\n\n" % LOG),
        "sse-pings": (EVENTS + b"\r\n", b"data: %b\n\n" % PING),
        "sse-progress": (EVENTS + b"\r\n", b"data: %b\n\n" % progress),
        "sse-tiny-chunks": (EVENTS + CHUNKED, b"2\r\n:\n\r\n"),
        "header": (b"HTTP/1.1 200 OK\r\nx: ", b"x"),
        "header-name": (b"HTTP/1.1 200 OK\r\n", b"x"),
        "headers": (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"),
        "reason": (b"HTTP/1.1 200 ", b"O"),
        "interim": (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
        "chunks": (JSON + CHUNKED, b"10000\r\n" + b" " * BLOCK + b"\r\n"),
        "tiny-chunks": (JSON + CHUNKED, b"2\r\n  \r\n"),
        "chunk-extension": (JSON + CHUNKED + b"5;", b"x"),
        "trailer": (JSON + CHUNKED + b"2\r\n{}\r\n0\r\nx: ", b"x"),
        "length": (JSON + b"content-length: 99999999999\r\n\r\n", b" "),
        "no-length": (JSON + b"\r\n", b" "),
        "error-json": (b"HTTP/1.1 500 No\r\ncontent-type: application/json\r\n\r\n", b" "),
        "error-text": (b"HTTP/1.1 400 No\r\ncontent-type: text/plain\r\n\r\n", b"no "),
    }
    if attack in floods:
        head, piece = floods[attack]
        yield head
        yield from endless(piece)
    yield from short_answers(attack, id_)


def short_answers(attack: str, id_: Any) -> Iterator[bytes]:
    """Answer a call over HTTP with something that has an end."""
    kind, _, how = attack.partition("-")
    if kind == "gzip":
        head = EVENTS if how == "sse" else JSON
        layers = 2 if how == "layers" else 1
        yield head + b"content-encoding: %b\r\n\r\n" % b", ".join([b"gzip"] * layers) + bomb(layers)
    elif attack == "retry":
        yield EVENTS + b"\r\nretry: " + b"9" * 5000 + b"\nid: 1\ndata:\n\n"
    elif attack == "retry-long":
        yield EVENTS + b"\r\nretry: " + b"9" * 4000 + b"\nid: 1\ndata:\n\n"
    elif kind == "pretty":
        body = pretty(id_, how.removesuffix("-sse"))
        if how.endswith("-sse"):
            end = {"crlf-sse": b"\r\n", "cr-sse": b"\r"}.get(how, b"\n")
            lines = body.decode("utf-8-sig").splitlines()
            yield EVENTS + b"\r\n" + (b"\xef\xbb\xbf" if how == "bom-sse" else b"")
            yield end.join([*(b"data: " + line.encode() for line in lines), b"", b""])
        else:
            yield JSON + b"content-length: %d\r\n\r\n" % len(body) + body
    else:
        body = answer(id_, {"nesting": b"[" * 100_000 + b"]" * 100_000, "digits": b"9" * 5000}[attack])
        yield JSON + b"content-length: %d\r\n\r\n" % len(body) + body


def lines(attack: str, id_: Any) -> Iterator[bytes]:
    """Answer a call over a pipe."""
    token = json.dumps({"progressToken": id_, "progress": 1}).encode()
    floods = {
        "line": (b'{"result":"', b"x"),
        "line-of-answer": (b'{"jsonrpc":"2.0","id":%b,"result":{"x":"' % json.dumps(id_).encode(), b"x"),
        "blank": (b"", b"\n"),
        "tiny": (b"", b"{}\n"),
        "noise": (b"", b"what is no message\n"),
        "messages": (b"", LOG + b"\n"),
        "pings": (b"", PING + b"\n"),
        "progress": (b"", b'{"jsonrpc":"2.0","method":"notifications/progress","params":%b}\n' % token),
        "stderr": (b"", b"what a child may say\n"),
        "stderr-line": (b"", b"x"),
    }
    if attack in floods:
        head, piece = floods[attack]
        yield head
        yield from endless(piece)
    if attack == "bom":
        yield b"\xef\xbb\xbf" + answer(id_) + b"\n"
    else:
        yield answer(id_, {"nesting": b"[" * 100_000 + b"]" * 100_000, "digits": b"9" * 5000}[attack]) + b"\n"


async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve requests until one of them is a call."""
    with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = [int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")]
            message = json.loads(await reader.readexactly(length[0])) if length and length[0] else {}
            _, era, attack = head.split()[1].split("/")
            if message.get("method") == "tools/call":
                await write(writer, attack, message["id"])
                if attack.startswith("pretty") and not attack.endswith("sse"):
                    continue  # it says how long it is
                break
            if "id" not in message:
                status = b"405 Method Not Allowed" if head.startswith("GET") else b"202 Accepted"
                writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n")
            else:
                body = response(message["id"], message["method"], era)
                writer.write(JSON + b"content-length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
    writer.close()


async def write(writer: asyncio.StreamWriter, attack: str, id_: Any) -> None:
    """Write an attack for as long as it is read."""
    if attack == "drip":
        writer.write(JSON + b"content-length: 1000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)
    for piece in answers(attack, id_):
        writer.write(piece)
        await writer.drain()


async def serve_http() -> None:
    """Serve over HTTP."""
    server = await asyncio.start_server(serve_connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def serve_stdio(era: str, attack: str) -> None:
    """Serve over pipes; what is asked while an attack is under way is answered between its pieces, if at all."""
    guard = threading.Lock()

    def say(pieces: Iterator[bytes]) -> None:
        stream = sys.stderr if attack.startswith("stderr") else sys.stdout
        with suppress(BrokenPipeError):
            for piece in pieces:
                with guard:
                    stream.buffer.write(piece)
                    stream.buffer.flush()

    for line in sys.stdin.buffer:
        message = json.loads(line)
        if "id" not in message or "method" not in message:
            continue
        if message["method"] == "tools/call":
            threading.Thread(target=say, args=[lines(attack, message["id"])], daemon=True).start()
            continue
        with guard:
            sys.stdout.buffer.write(response(message["id"], message["method"], era) + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    if sys.argv[1] == "http":
        asyncio.run(serve_http())
    else:
        serve_stdio(*sys.argv[2:])
