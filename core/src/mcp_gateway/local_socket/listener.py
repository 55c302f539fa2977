"""The listener of the local socket, and the places for connections.

Only this user gets in: by the rights of folder and socket, by the peer's user id where the system tells it, and over
loopback by proofs of a key. Numbers, sizes and times are bounded. Who has not greeted yet has a place of another kind
than who has: strangers cannot take the places of this user.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import anyio
import structlog
from anyio.abc import TaskGroup

from mcp_gateway.local_socket.connection import Connection, PeerLeft, Refused
from mcp_gateway.local_socket.folder import (
    Endpoint,
    UnsafeFolder,
    open_folder,
    remove_leftovers,
    socket_path,
    write_port,
)
from mcp_gateway.local_socket.messages import Json, Malformed
from mcp_gateway.local_socket.methods import Methods
from mcp_gateway.local_socket.stream import LocalStream
from mcp_gateway.plugin import StorageError

log = structlog.get_logger(__name__)

MAX_CONNECTIONS = 32
MAX_GREETINGS = 16
"""How many connections may be about to greet; one more ends the one that takes longest."""
GREET_SECONDS = 3.0
"""How long a greeting may take."""


@dataclass(slots=True)
class _Places:
    """The places of connections that greet, and of those that have greeted."""

    methods: Methods
    key: str
    serving: int = 0
    greeting: list[anyio.CancelScope] = field(default_factory=list)
    numbers: count[int] = field(default_factory=lambda: count(1))

    async def handle(self, stream: LocalStream) -> None:
        """Handle a connection; what is wrong with it ends only itself."""
        async with stream:
            if not stream.is_own_user():
                return
            connection = Connection(stream, self.methods, self.key, f"local socket {next(self.numbers)}")
            try:
                if (welcome := await self._greet(connection)) is not None:
                    await self._serve(connection, welcome)
            except PeerLeft:
                pass
            except Exception:
                log.exception("local socket failed")

    async def _greet(self, connection: Connection) -> Json | None:
        """Return the last answer of a greeting, or None if it fails."""
        with self._greeting_place():
            try:
                welcome = await connection.greet()
                self._check_room()
            except (Malformed, Refused) as error:
                await connection.refuse(error)
            else:
                return welcome
        return None

    def _check_room(self) -> None:
        if self.serving >= MAX_CONNECTIONS:
            raise Refused(
                f"all {MAX_CONNECTIONS} connections of its local socket are in use: end a 'logs -f' or a "
                f"'call --running', and try again"
            )

    @contextmanager
    def _greeting_place(self) -> Iterator[None]:
        if len(self.greeting) >= MAX_GREETINGS:
            self.greeting.pop(0).cancel()
        with anyio.move_on_after(GREET_SECONDS) as place:
            self.greeting.append(place)
            try:
                yield
            finally:
                with suppress(ValueError):  # it was ended for another one
                    self.greeting.remove(place)

    async def _serve(self, connection: Connection, welcome: Json) -> None:
        self.serving += 1
        try:
            await connection.serve(welcome)
        finally:
            self.serving -= 1


@asynccontextmanager
async def open_local_socket(methods: Methods, mode: str) -> AsyncIterator[None]:
    """Listen while the block runs.

    A gateway that cannot listen serves all the same. `mode` is `auto`, `loopback` or `off`.
    """
    if mode == "off":
        yield
        return
    async with anyio.create_task_group() as tasks:
        try:
            server, endpoint = await _listen(methods, mode, tasks)
        except (UnsafeFolder, StorageError, OSError) as error:
            log.info("no local socket", reason=str(error), hint="status, logs and servers cannot ask this gateway")
            yield
            return
        try:
            await server.start_serving()
            yield
        finally:
            server.close()
            endpoint.remove()
            tasks.cancel_scope.cancel()


async def _listen(methods: Methods, mode: str, tasks: TaskGroup) -> tuple[asyncio.Server, Endpoint]:
    """Bind a socket and leave its address, without a pause in between."""
    folder = open_folder()
    remove_leftovers(folder)
    path = socket_path(folder) if mode == "auto" and hasattr(socket, "AF_UNIX") else None
    places = _Places(methods, "" if path is not None else secrets.token_hex(32))

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.start_soon(places.handle, LocalStream(reader, writer))

    if path is not None:
        server = await asyncio.start_unix_server(accept, sock=_bind(path), start_serving=False)
        return server, Endpoint(os.getpid(), path)
    server = await asyncio.start_server(accept, sock=_bind_port(), start_serving=False)
    try:
        return server, write_port(folder, server.sockets[0].getsockname()[1], places.key)
    except StorageError:
        server.close()
        raise


def _bind(path: Path) -> socket.socket:
    """Bind a socket that only this user may use."""
    bound = socket.socket(socket.AF_UNIX)
    try:
        bound.setblocking(False)  # noqa: FBT003  # of the standard library
        bound.bind(os.fspath(path))
        path.chmod(0o600)
    except OSError:
        bound.close()
        raise
    return bound


def _bind_port() -> socket.socket:
    """Bind a free port of the loopback interface."""
    bound = socket.socket(socket.AF_INET)
    bound.setblocking(False)  # noqa: FBT003  # of the standard library
    if sys.platform == "win32":  # else another program may bind the same port
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    bound.bind(("127.0.0.1", 0))
    return bound
