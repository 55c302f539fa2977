"""Stdio server transport for the process that started the gateway."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from mcp_gateway.plugin import ConfigError, LazyServer, ServeOptions, ServerTransport
from mcp_gateway_transport_stdio.server_io import StdioServerProtocol, open_server_io

if TYPE_CHECKING:
    import anyio
    from mcp.server.lowlevel.server import Server

    from mcp_gateway_transport_stdio.era_lines import EraLines

_WHERE = "standard input and output"
_ON_A_TERMINAL = (
    "waiting for an MCP client on standard input, which is a terminal; Ctrl-C ends. Programs start the gateway "
    "themselves, once 'mcp-orchestration-gateway init' has put it into their configurations"
)


@dataclass(frozen=True, slots=True)
class StdioServerTransport:
    """Server transport for one client, until it closes its end."""

    options: ServeOptions

    @property
    def single_client(self) -> bool:
        """The client that started the process is the only one."""
        return True

    async def serve(self, server: Server[Any], *, ready: Callable[[str], None]) -> None:
        """Serve over the process's standard input and output."""
        await self.serve_lazy(_LoadedServer(server), ready=ready)

    async def serve_lazy(self, lazy_server: LazyServer, *, ready: Callable[[str], None]) -> None:
        """Serve, and let the lazy server answer the handshake."""
        if sys.stdin is None or sys.stdout is None:
            raise ConfigError(
                "standard input or output is closed: let an MCP client start the gateway, "
                "or serve over HTTP with GATEWAY_TRANSPORT=http"
            )
        if sys.stdin.isatty():
            print(_ON_A_TERMINAL, file=sys.stderr)  # noqa: T201  # a constant text
        longest, grace = self.options.max_request_bytes, self.options.grace
        with _reserve_stdin() as descriptor, _reserve_stdout() as output:
            async with open_server_io(lazy_server.early_initialize, descriptor, output, longest) as pipes:
                ready(_WHERE)
                await pipes.wait_for_client()
                server = await lazy_server.load()
                pipes.set_server(server)
                await run_server(server, pipes, grace)


@dataclass(frozen=True, slots=True)
class _LoadedServer:
    """A lazy server that is already loaded."""

    opened: Server[Any]

    def early_initialize(self, message: bytes) -> bytes | None:  # noqa: ARG002  # the server will
        return None

    async def load(self) -> Server[Any]:
        return self.opened


async def run_server(server: Server[Any], pipes: StdioServerProtocol, grace: float) -> None:
    """Serve a client with the SDK, one era after the other."""
    from mcp_gateway_transport_stdio.era_lines import EraLines

    era_lines = EraLines(pipes)
    while not era_lines.is_ended:
        await _run_era(server, era_lines, pipes, grace)
        pipes.on_era_end()


async def _run_era(server: Server[Any], era_lines: EraLines, pipes: StdioServerProtocol, grace: float) -> None:
    from mcp.server.stdio import stdio_server  # the SDK is slow to import

    from mcp_gateway_transport_stdio.drain import DrainingReadStream, PendingRequests, TrackingWriteStream

    reading, writing = cast("anyio.AsyncFile[str]", era_lines), cast("anyio.AsyncFile[str]", pipes)
    async with stdio_server(stdin=reading, stdout=writing) as (incoming, outgoing):
        debts = PendingRequests(grace, lambda: pipes.in_flight, lambda: pipes.output.is_open)
        options = server.create_initialization_options()
        answers = TrackingWriteStream(outgoing, debts)
        await server.run(DrainingReadStream(incoming, debts, answers), answers, options)
    await pipes.output.drain(debts.remaining)


@asynccontextmanager
async def stdio_server_transport(options: ServeOptions) -> AsyncIterator[ServerTransport]:
    """Yield the transport; there is nothing to open."""
    yield StdioServerTransport(options)


@contextmanager
def _reserve_stdin() -> Iterator[int]:
    """Reserve standard input; give others an empty one.

    The others are child processes and plugins.
    """
    wire = os.dup(0)
    empty = os.open(os.devnull, os.O_RDONLY)
    # A child process or plugin that reads standard input would steal messages.
    os.dup2(empty, 0)
    os.close(empty)
    try:
        yield wire
    finally:
        if os.name == "posix":  # on Windows a thread may be reading, and closing would wait for it
            os.dup2(wire, 0)
            os.close(wire)


@contextmanager
def _reserve_stdout() -> Iterator[int]:
    """Reserve standard output for messages.

    Other output goes to standard error.
    """
    wire = os.dup(1)
    # A print of a plugin or a library would be taken for a message.
    os.dup2(2, 1)
    try:
        yield wire
    finally:
        if os.name == "posix":
            # The event loop made it non-blocking, also for whoever else has this open file.
            os.set_blocking(wire, True)
        os.dup2(wire, 1)
        os.close(wire)
