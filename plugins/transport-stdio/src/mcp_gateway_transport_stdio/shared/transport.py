"""Server transport for windows: each is served as over stdio."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from mcp_gateway.plugin import ServerTransport, SupportsPipes, is_own_user
from mcp_gateway_transport_stdio.server_transport import run_server
from mcp_gateway_transport_stdio.shared.connection import WindowProtocol
from mcp_gateway_transport_stdio.shared.listener import open_listener
from mcp_gateway_transport_stdio.shared.log_file import keep_log_short
from mcp_gateway_transport_stdio.shared.options import SharedOptions

if TYPE_CHECKING:
    from mcp.server.lowlevel.server import Server

log = logging.getLogger(__name__)

_FLUSH_SECONDS = 0.3
_PAUSE_SECONDS = 1.0
_FIRST_SECONDS = 30.0
"""How long the window that has started the gateway may take until it connects."""
_FULL = "it has as many windows as GATEWAY_SHARED_WINDOWS allows, {}"


@dataclass(slots=True)
class _Windows:
    """The windows that are connected."""

    server: Server[Any]
    options: SharedOptions
    is_closing: bool = False
    is_used: bool = False
    scopes: dict[WindowProtocol, anyio.CancelScope] = field(default_factory=dict)
    changed: anyio.Event = field(default_factory=anyio.Event)

    async def serve(self, accepted: socket.socket) -> None:
        """Serve one window until it leaves; what goes wrong ends only itself."""
        if self.is_closing or not is_own_user(accepted):
            accepted.close()
            return
        is_admitted = len(self.scopes) < self.options.max_windows
        protocol = WindowProtocol(self.options.max_request_bytes)
        # Ended by its own scope only, since calls have time at the end.
        with anyio.CancelScope(shield=True) as scope:
            if is_admitted:
                self.scopes[protocol], self.is_used = scope, True
                self._announce_change()
            try:
                await self._serve(protocol, accepted, is_admitted=is_admitted)
            except Exception:
                log.exception("window failed")
            finally:
                self.scopes.pop(protocol, None)
                self._announce_change()

    async def _serve(self, protocol: WindowProtocol, accepted: socket.socket, *, is_admitted: bool) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, accepted)
        try:
            if is_admitted:
                protocol.output.write_message(_greet(pid=os.getpid()))
                with self._open_pipe() as pipe:
                    protocol.set_server(pipe)
                    await run_server(self.server, protocol, self.options.grace)
            else:
                protocol.output.write_message(_greet(refused=_FULL.format(self.options.max_windows)))
        finally:
            with anyio.CancelScope(shield=True):
                protocol.close()
                await protocol.output.drain(_FLUSH_SECONDS)
                protocol.abort()
                await anyio.lowlevel.checkpoint()

    @contextmanager
    def _open_pipe(self) -> Iterator[object]:
        if isinstance(self.server, SupportsPipes):
            with self.server.open_pipe() as pipe:
                yield pipe
        else:
            yield None

    def _announce_change(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()

    async def wait_unused(self) -> None:
        """Wait until there has been no window for the idle time."""
        while True:
            changed = self.changed
            idle = self.options.idle if self.is_used else max(self.options.idle, _FIRST_SECONDS)
            patience = math.inf if self.scopes else idle
            with anyio.move_on_after(patience) as waiting:
                await changed.wait()
            if waiting.cancelled_caught and not self.scopes:
                return

    async def drain(self) -> None:
        """Wait for calls under way, within limits; then end all windows."""
        for protocol in self.scopes:
            protocol.end_input()
        with anyio.move_on_after(self.options.grace + _FLUSH_SECONDS):
            while self.scopes:
                await self.changed.wait()
        for scope in self.scopes.values():
            scope.cancel()


@dataclass(frozen=True, slots=True)
class SharedServerTransport:
    """Server transport for the windows of one user."""

    options: SharedOptions

    @property
    def expects_client(self) -> bool:
        """The window that started it connects at once."""
        return True

    async def serve(self, server: Server[Any], *, ready: Callable[[str], None]) -> None:
        """Serve until there has been no window for a while."""
        windows = _Windows(server, self.options)
        async with anyio.create_task_group() as tasks:
            try:
                await self._serve(windows, tasks, ready)
            finally:
                with anyio.CancelScope(shield=True):
                    await windows.drain()
            log.info("stopping", extra={"reason": f"no window for {self.options.idle:g} seconds"})

    async def _serve(self, windows: _Windows, tasks: TaskGroup, ready: Callable[[str], None]) -> None:
        async with anyio.create_task_group() as listening:
            with open_listener(self.options.socket) as listener:
                if self.options.log is not None:
                    listening.start_soon(keep_log_short, self.options.log)
                listening.start_soon(_accept_windows, listener, windows, tasks)
                ready(f"{self.options.socket}{f', log: {self.options.log}' if self.options.log else ''}")
                try:
                    await windows.wait_unused()
                finally:
                    windows.is_closing = True
            listening.cancel_scope.cancel()


async def _accept_windows(listener: socket.socket, windows: _Windows, tasks: TaskGroup) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            accepted, _ = await loop.sock_accept(listener)
        except OSError as error:  # too many files are open
            log.warning("window not accepted", extra={"reason": str(error)})
            await anyio.sleep(_PAUSE_SECONDS)
            continue
        tasks.start_soon(windows.serve, accepted)


def _greet(**members: object) -> bytes:
    """Return the first line of a connection, which names a gateway."""
    return json.dumps({"shared": 1, **members}).encode()


@asynccontextmanager
async def open_shared_transport(options: SharedOptions) -> AsyncIterator[ServerTransport]:
    """Yield the transport; it opens its socket when it serves."""
    yield SharedServerTransport(options)
