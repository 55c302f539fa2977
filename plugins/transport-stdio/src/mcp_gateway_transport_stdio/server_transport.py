"""Stdio server transport for the process that started the gateway."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import anyio

from mcp_gateway.plugin import ConfigError, LazyServer, ServeOptions, ServerTransport, replace_lone_surrogates
from mcp_gateway_transport_stdio.framing import LineSplitter, OversizedLine, encode_oversize_error
from mcp_gateway_transport_stdio.pipes import can_poll
from mcp_gateway_transport_stdio.server_io import StdioServerProtocol, open_server_io

if TYPE_CHECKING:
    from mcp.server.lowlevel.server import Server

    from mcp_gateway_transport_stdio.era_lines import EraLines

CAN_WAIT = os.name == "posix"
"""Whether the event loop can poll pipes; on Windows it can poll only sockets."""

_CHUNK = 65536
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
        with _reserve_stdin() as descriptor:
            if can_poll(descriptor, 1):
                with _reserve_stdout() as output:
                    async with open_server_io(lazy_server.early_initialize, descriptor, output, longest) as pipes:
                        ready(_WHERE)
                        await pipes.wait_for_client()
                        server = await lazy_server.load()
                        pipes.set_server(server)
                        await run_server(server, pipes, pipes, grace)
            else:
                server = await lazy_server.load()
                ready(_WHERE)
                await run_server(server, CancellableLineReader(descriptor, longest), None, grace)


@dataclass(frozen=True, slots=True)
class _LoadedServer:
    """A lazy server that is already loaded."""

    opened: Server[Any]

    def early_initialize(self, message: bytes) -> bytes | None:  # noqa: ARG002  # the server will
        return None

    async def load(self) -> Server[Any]:
        return self.opened


async def run_server(
    server: Server[Any], lines: StdioServerProtocol | CancellableLineReader, output: object, grace: float
) -> None:
    """Serve these lines with the SDK, one era after the other."""
    from mcp_gateway_transport_stdio.era_lines import EraLines

    era_lines = EraLines(lines)
    while not era_lines.is_ended:
        await _run_era(server, era_lines, lines, output, grace)
        if isinstance(lines, StdioServerProtocol):
            lines.on_era_end()


async def _run_era(
    server: Server[Any],
    era_lines: EraLines,
    lines: StdioServerProtocol | CancellableLineReader,
    output: object,
    grace: float,
) -> None:
    from mcp.server.stdio import stdio_server  # the SDK is slow to import
    from mcp.shared.message import SessionMessage
    from mcp_types import jsonrpc_message_adapter

    from mcp_gateway_transport_stdio.drain import DrainingReadStream, PendingRequests, TrackingWriteStream

    reading, writing = cast("anyio.AsyncFile[str]", era_lines), cast("anyio.AsyncFile[str] | None", output)
    async with stdio_server(stdin=reading, stdout=writing) as (incoming, outgoing):
        if isinstance(lines, CancellableLineReader):

            async def refuse(line: OversizedLine) -> None:
                error = jsonrpc_message_adapter.validate_json(encode_oversize_error(line, lines.longest))
                await outgoing.send(SessionMessage(error))

            lines.too_long = refuse
        pipes = lines if isinstance(lines, StdioServerProtocol) else None
        debts = (
            PendingRequests(grace, lambda: pipes.in_flight, lambda: pipes.output.is_open)
            if pipes
            else PendingRequests(grace)
        )
        options = server.create_initialization_options()
        answers = TrackingWriteStream(outgoing, debts)
        await server.run(DrainingReadStream(incoming, debts, answers), answers, options)
    if pipes:
        await pipes.output.drain(debts.remaining)


@asynccontextmanager
async def stdio_server_transport(options: ServeOptions) -> AsyncIterator[ServerTransport]:
    """Yield the transport; there is nothing to open."""
    yield StdioServerTransport(options)


class CancellableLineReader:
    """Lines of a descriptor, with a read that can be cancelled.

    A cancelled task stops reading at once.

    The SDK reads standard input in a thread that cannot be stopped, so a gateway that gets SIGTERM would stay until
    its client leaves.
    """

    def __init__(self, descriptor: int, longest: int) -> None:
        """Create a line reader with a size limit.

        Lines of more than `longest` bytes go to `too_long` instead.
        """
        self.longest = longest
        self._descriptor = descriptor
        self._read_lines: list[bytes | OversizedLine] = []
        self._cutter = LineSplitter(self._read_lines.append, self._read_lines.append, longest)
        self.too_long: Callable[[OversizedLine], Awaitable[None]] = _ignore_line

    async def __aiter__(self) -> AsyncIterator[str]:
        """Iterate over the lines, including an unterminated last one."""
        ended = False
        while not ended:
            chunk = await self._read()
            ended = not chunk
            if ended:
                self._cutter.flush()
            else:
                self._cutter.feed(chunk)
            for line in self._read_lines:
                if isinstance(line, bytes):
                    yield replace_lone_surrogates(line).decode("utf-8", "replace")
                else:
                    await self.too_long(line)
            self._read_lines.clear()

    async def _read(self) -> bytes:
        if CAN_WAIT:
            with suppress(OSError):  # a regular file
                await anyio.wait_readable(self._descriptor)
                return os.read(self._descriptor, _CHUNK)
        return await _read_in_thread(self._descriptor)


async def _read_in_thread(descriptor: int) -> bytes:
    """Read in a daemon thread.

    As a daemon it does not delay the end of the process, since there may never be input.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[bytes] = loop.create_future()

    def tell(data: bytes) -> None:
        if not future.done():
            future.set_result(data)

    def read() -> None:
        try:
            data = os.read(descriptor, _CHUNK)
        except OSError:
            # An input that cannot be read counts as ended.
            data = b""
        with suppress(RuntimeError):  # the event loop is closed
            loop.call_soon_threadsafe(tell, data)

    threading.Thread(target=read, name="standard input", daemon=True).start()
    return await future


async def _ignore_line(_: OversizedLine) -> None:
    """Ignore an oversized line until a handler is set."""


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
        if CAN_WAIT:  # otherwise a thread may be reading, and closing would wait for it
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
        # The event loop made it non-blocking, also for whoever else has this open file.
        os.set_blocking(wire, True)
        os.dup2(wire, 1)
        os.close(wire)
