"""A child that writes what it is told to, and a channel to it that keeps what it hears."""

from __future__ import annotations

import json
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from mcp_gateway_transport_stdio.child.channel import open_child_channel
from mcp_gateway_transport_stdio.child.stray_output import StrayOutput
from mcp_gateway_transport_stdio.child.supervised_process import ChildCommand, Supervisor

SERVER = """
import json, os, sys, time
def write(data):
    while data:
        data = data[os.write(1, data):]
for line in sys.stdin.buffer:
    message = json.loads(line)
    method, params = message.get("method"), message.get("params") or {}
    if method == "exit":
        sys.exit(3)
    if method == "silence" or "id" not in message:
        continue
    if method == "leave":
        if os.fork() == 0:
            time.sleep(600)
        write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": params}).encode() + b"\\n")
        os._exit(3)
    if method == "deaf":
        time.sleep(60)
    if method == "write":
        for piece in params["pieces"]:
            write(bytes.fromhex(piece))
        if params.get("exits"):
            os._exit(0)
        if not params.get("answers"):
            continue
    if method == "repeat":
        write(bytes.fromhex(params["piece"]) * params["times"])
    if method == "endless":
        write(bytes.fromhex(params["piece"]))
        while True:
            write(b"x" * 65536)
    write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": params}).encode() + b"\\n")
"""
"""Answers requests with their parameters, but for some methods."""

SECONDS = 30
NOTIFICATION = b'{"jsonrpc":"2.0","method":"notifications/message","params":{}}'


@dataclass
class Handler:
    """Keeps what is heard of one request."""

    heard: list
    request_id: int
    responses: list[bytes] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    ended: anyio.Event = field(default_factory=anyio.Event)
    abandon: object = None

    def on_message(self, message):
        raise AssertionError("a pipe does not know to which request a message belongs")

    def on_response(self, response):
        self.heard.append(self.request_id)
        self.responses.append(response)
        self.ended.set()

    def on_failure(self, error):
        self.failures.append(error)
        self.ended.set()

    async def outcome(self):
        """Wait for the response, or raise the failure."""
        await self.ended.wait()
        if self.failures:
            raise self.failures[0]
        return self.responses[0]


@dataclass
class Listener:
    """Keeps what comes over a channel, in its order: messages, and ids of requests that were answered."""

    channel: object
    stray_output: StrayOutput
    heard: list = field(default_factory=list)
    closings: int = 0

    def on_close(self):
        self.closings += 1

    @property
    def messages(self):
        return [each for each in self.heard if isinstance(each, bytes)]

    def begin(self, method="echo", request_id=1, **params):
        handler = Handler(self.heard, request_id)
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        handler.abandon = self.channel.request(json.dumps(message).encode(), request_id, {}, handler)
        return handler

    async def ask(self, method="echo", request_id=1, **params):
        return await self.begin(method, request_id, **params).outcome()

    def begin_write(self, *pieces, request_id=1, **params):
        """Have the child write these pieces, as the answer to a request."""
        return self.begin("write", request_id, pieces=[piece.hex() for piece in pieces], **params)


@asynccontextmanager
async def open_listener(limit=32 << 20, server=SERVER):
    """Start the server."""
    stray_output = StrayOutput("server")
    program = ChildCommand([sys.executable, "-c", server], {}, None, sys.stderr)
    supervisor = Supervisor()
    with anyio.fail_after(SECONDS), supervisor.use():
        async with open_child_channel(supervisor, program, stray_output, limit) as channel:
            listener = Listener(channel, stray_output)
            channel.start(listener.heard.append, listener.on_close)
            yield listener
