"""Towards the client: serve whoever started this process."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

import anyio
import anyio.to_thread
from mcp.server import Server
from mcp.server.stdio import stdio_server

from mcp_gateway.plugin import ConfigError, DirectServer, ServerTransport
from mcp_gateway_transport_stdio.duplex import MAX_LINE, are_pipes, duplex

log = logging.getLogger(__name__)

_CHUNK = 65536
_ON_A_TERMINAL = (
    "waiting for an MCP client on standard input, and this is a terminal: put this command into your client's "
    "configuration, or try 'mcp-orchestration-gateway search WORDS'; Ctrl-C ends"
)


class StdioServerTransport:
    """Serves one client, until it closes its end."""

    @property
    def one_client(self) -> bool:
        """The client that started the process is the only one."""
        return True

    async def serve(self, server: Server[Any], *, ready: Callable[[str], None]) -> None:
        """Serve over the process's standard input and output."""
        if sys.stdin is None or sys.stdout is None:
            raise ConfigError(
                "standard input or output is closed: let an MCP client start the gateway, "
                "or serve over HTTP with GATEWAY_TRANSPORT=http"
            )
        if sys.stdin.isatty():
            print(_ON_A_TERMINAL, file=sys.stderr)
        with _standard_input() as descriptor:
            if isinstance(server, DirectServer) and are_pipes(descriptor, 1):
                async with duplex(server, descriptor) as pipes:
                    await _run(server, pipes, pipes, ready)
            else:
                await _run(server, CancellableLines(descriptor), None, ready)


async def _run(server: Server[Any], lines: object, output: object, ready: Callable[[str], None]) -> None:
    """Serve these lines with the SDK."""
    reading, writing = cast("anyio.AsyncFile[str]", lines), cast("anyio.AsyncFile[str] | None", output)
    async with stdio_server(stdin=reading, stdout=writing) as (incoming, outgoing):
        ready("standard input and output")
        await server.run(incoming, outgoing, server.create_initialization_options())


@asynccontextmanager
async def stdio_server_transport() -> AsyncIterator[ServerTransport]:
    """There is nothing to open."""
    yield StdioServerTransport()


class CancellableLines:
    """The lines of a descriptor, read so that a cancelled task stops reading at once.

    The SDK reads standard input in a thread that nothing can stop: a gateway that is
    told to end would stay until its client goes away.
    """

    def __init__(self, descriptor: int) -> None:
        """Read from `descriptor`."""
        self._descriptor = descriptor

    async def __aiter__(self) -> AsyncIterator[str]:
        """Iterate over the lines, the last one even without its end."""
        parts: list[bytes] = []
        size = 0
        while chunk := await self._read():
            *lines, rest = chunk.split(b"\n")
            for line in lines:
                yield b"".join([*parts, line]).decode("utf-8", "replace")
                parts.clear()
                size = 0
            if rest:
                parts.append(rest)
                size += len(rest)
            if size > MAX_LINE:
                log.error("the client sent a message of more than %d bytes; the gateway ends", MAX_LINE)
                return
        if parts:
            yield b"".join(parts).decode("utf-8", "replace")

    async def _read(self) -> bytes:
        try:
            await anyio.wait_readable(self._descriptor)
        except (OSError, NotImplementedError):  # a plain file, or Windows: no waiting, so a thread
            return await anyio.to_thread.run_sync(os.read, self._descriptor, _CHUNK, abandon_on_cancel=True)
        return os.read(self._descriptor, _CHUNK)


@contextmanager
def _standard_input() -> Iterator[int]:
    """Take standard input for ourselves; children and plugins find an empty one in its place."""
    wire = os.dup(0)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    try:
        yield wire
    finally:
        os.dup2(wire, 0)
        os.close(wire)
