"""The listener of the local socket, and its connections.

Only this user gets in: by the rights of folder and socket, by the peer's user id where the system tells it, and over
loopback by a key. Numbers, sizes and times are bounded, so that nobody who gets in harms the gateway.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import structlog
from anyio.abc import TaskGroup
from mcp.shared.exceptions import MCPError

from mcp_gateway.local_socket.folder import Endpoint, UnsafeFolder, open_folder, socket_path, write_port
from mcp_gateway.local_socket.framing import MAX_REQUEST, VERSION, Json, Malformed, MessageReader, encode_message
from mcp_gateway.local_socket.methods import Methods, UnknownMethod
from mcp_gateway.local_socket.stream import LocalStream
from mcp_gateway.plugin import GatewayError, StorageError

log = structlog.get_logger(__name__)

MAX_CONNECTIONS = 16
IDLE_SECONDS = 60.0
"""How long a connection may ask nothing."""
WRITE_SECONDS = 10.0
"""How long a connection may take no answer."""

_PARSE_ERROR, _REFUSED, _NO_METHOD, _FAILED = -32700, -32600, -32601, -32000


class Refused(Exception):
    """A connection with another version, or a wrong key."""


@dataclass(slots=True)
class _Connections:
    methods: Methods
    key: str
    count: int = 0

    async def handle(self, stream: LocalStream) -> None:
        """Handle a connection; what is wrong with it ends only itself."""
        async with stream:
            if self.count >= MAX_CONNECTIONS:
                return
            self.count += 1
            try:
                await _Connection(stream, self.methods, self.key).run()
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, TimeoutError):
                pass
            except Exception:
                log.exception("local socket failed")
            finally:
                self.count -= 1


@dataclass(slots=True)
class _Connection:
    stream: LocalStream
    methods: Methods
    key: str

    async def run(self) -> None:
        """Greet, then answer one request after another."""
        if not self.stream.is_own_user():
            return
        reader = MessageReader(self.stream, MAX_REQUEST)
        is_greeted = False
        while True:
            try:
                with anyio.fail_after(IDLE_SECONDS):
                    message = await reader.read()
                if message is None:
                    return
                answer = await self._answer(message) if is_greeted else self._greet(message)
            except (Malformed, Refused) as error:
                code = _PARSE_ERROR if isinstance(error, Malformed) else _REFUSED
                await self._send({"id": None, "error": {"code": code, "message": str(error)}})
                return
            is_greeted = True
            await self._send({"id": message.get("id"), **answer})

    def _greet(self, message: Json) -> Json:
        params = message.get("params")
        given = params if isinstance(params, dict) else {}
        if message.get("method") != "hello" or given.get("version") != VERSION:
            raise Refused(f"this gateway speaks version {VERSION} of the local socket, after a hello")
        if self.key and not secrets.compare_digest(str(given.get("key", "")).encode(), self.key.encode()):
            raise Refused("the key is wrong")
        return {"result": {"version": VERSION, "pid": os.getpid()}}

    async def _answer(self, message: Json) -> Json:
        """Answer a request; the connection is not read meanwhile."""
        params = message.get("params")
        given = params if isinstance(params, dict) else {}
        try:
            return {"result": await self.methods.answer(str(message.get("method")), given, self._send)}
        except UnknownMethod as error:
            return {"error": {"code": _NO_METHOD, "message": str(error)}}
        except MCPError as error:
            return {"error": {"code": error.code, "message": error.error.message, "data": error.error.data}}
        except GatewayError as error:
            return {"error": {"code": _FAILED, "message": str(error)}}

    async def _send(self, message: Json) -> None:
        with anyio.fail_after(WRITE_SECONDS):
            await self.stream.send(encode_message(message))


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
            yield
        finally:
            server.close()
            endpoint.remove()
            tasks.cancel_scope.cancel()


async def _listen(methods: Methods, mode: str, tasks: TaskGroup) -> tuple[asyncio.Server, Endpoint]:
    folder = open_folder()
    path = socket_path(folder) if mode == "auto" and hasattr(socket, "AF_UNIX") else None
    connections = _Connections(methods, "" if path is not None else secrets.token_urlsafe(32))

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.start_soon(connections.handle, LocalStream(reader, writer))

    if path is not None:
        return await asyncio.start_unix_server(accept, sock=_bind(path)), Endpoint(os.getpid(), path)
    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    return server, write_port(folder, server.sockets[0].getsockname()[1], connections.key)


def _bind(path: Path) -> socket.socket:
    """Bind a socket that only this user may use."""
    path.unlink(missing_ok=True)  # of a process that had this number before
    bound = socket.socket(socket.AF_UNIX)
    bound.setblocking(False)  # noqa: FBT003  # of the standard library
    bound.bind(os.fspath(path))
    path.chmod(0o600)
    return bound
