"""What the tests of the local socket send to a gateway, and what pretends to be one."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import asynccontextmanager

import anyio

from mcp_gateway.control.gateways.lookup import find_gateways
from mcp_gateway.local_socket import messages
from mcp_gateway.local_socket.folder import Endpoint, open_folder
from mcp_gateway.local_socket.stream import LocalStream

PARENT = os.getppid()
"""A process that lives, and is no gateway."""


async def find_running():
    """Return the addresses of the gateways that greet."""
    return list((await find_gateways()).answers)


async def connect(endpoint):
    """Connect to a gateway, and say nothing."""
    if endpoint.port is not None:
        return LocalStream(*await asyncio.open_connection("127.0.0.1", endpoint.port))
    return LocalStream(*await asyncio.open_unix_connection(endpoint.path))


async def hello(stream):
    """Greet over a Unix socket; return the answer."""
    await send(stream, id=1, method="hello", params={"version": messages.VERSION})
    return await messages.MessageReader(stream, messages.MAX_REQUEST).read()


async def send(stream, **message):
    """Send a message."""
    await stream.send(messages.encode_message(message))


async def say(endpoint, data):
    """Send bytes; return all that comes until the connection ends."""
    async with await connect(endpoint) as stream:
        await stream.send(data)
        return await read_all(stream)


async def read_all(stream):
    """Return all that comes until the connection ends."""
    answer = b""
    try:
        while True:
            answer += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return answer


@asynccontextmanager
async def pretend(answer, pid=PARENT):
    """Listen in the place of a gateway, and answer each line with what a function of it returns, or not at all."""
    path = open_folder() / f"{pid}.sock"

    async def handle(reader, writer):
        while line := await reader.readline():
            said = answer(json.loads(line))
            if said is not None:
                writer.write(said)
        writer.close()

    server = await asyncio.start_unix_server(handle, path)
    try:
        yield Endpoint(pid, path)
    finally:
        server.close()
        path.unlink(missing_ok=True)


def encode(**message):
    return json.dumps(message).encode() + b"\n"
