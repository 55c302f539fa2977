"""Server transport: serve clients at an address."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio

from mcp_gateway.plugin import ConfigError, ServerTransport
from mcp_gateway_transport_http.options import PATH, ListenOptions

if TYPE_CHECKING:
    import uvicorn
    from mcp.server.lowlevel.server import Server

log = logging.getLogger(__name__)

# The default of uvicorn.
_BACKLOG = 2048

_MENDS = {
    errno.EADDRINUSE: "choose another GATEWAY_PORT",
    errno.EACCES: "choose a GATEWAY_PORT of 1024 or more",
}

_ALL = "0.0.0.0"  # noqa: S104  # only named here
_EVERY_INTERFACE = {_ALL: "127.0.0.1", "::": "::1"}
"""Addresses that stand for all of this machine, and that by which it calls itself."""


@dataclass(frozen=True, slots=True)
class HttpServerTransport:
    """HTTP server transport for many clients at one address."""

    options: ListenOptions

    async def serve(self, server: Server[Any], *, ready: Callable[[str], None]) -> None:
        """Serve until cancelled, then drain the calls in progress.

        They have GATEWAY_SHUTDOWN_GRACE seconds.
        """
        from mcp_gateway_transport_http.server.asgi import (
            build_uvicorn_server,
        )  # uvicorn and the SDK are slow to import

        with _open_socket(self.options) as listening:
            where = f"http://{_local_address(listening)}{PATH}"
            serving = build_uvicorn_server(server, self.options, lambda: ready(where))
            is_guarded = self.options.token is not None or self.options.issuer is not None
            _log_reach(listening.getsockname()[0], is_guarded=is_guarded)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_stop_when_cancelled, serving)
                # Shielded: uvicorn is ended by its own flag, `should_exit`, after the calls in progress.
                with anyio.CancelScope(shield=True):
                    await serving.serve(sockets=[listening])
                tasks.cancel_scope.cancel()


@asynccontextmanager
async def http_server_transport(options: ListenOptions) -> AsyncIterator[ServerTransport]:
    """Yield the transport; the socket is opened when it serves."""
    yield HttpServerTransport(options)


async def _stop_when_cancelled(listener: uvicorn.Server) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        listener.should_exit = True


def _log_reach(host: str, *, is_guarded: bool) -> None:
    """Log from where clients reach the gateway, and whom it lets in."""
    alone = _EVERY_INTERFACE.get(host)
    if alone:
        guard = "requests without a token are refused" if is_guarded else "requests of other machines are refused"
        hint = f"{guard}; GATEWAY_HOST={alone} listens on this machine alone"
        log.info("listening on every interface", extra={"host": host, "hint": hint})
    elif is_guarded and host in _EVERY_INTERFACE.values():
        log.info("listening on loopback", extra={"hint": f"GATEWAY_HOST={_ALL} listens on every interface"})
    if not is_guarded:
        reach = "" if alone else f" and GATEWAY_HOST={_ALL}"
        log.info("local clients only", extra={"hint": f"to let others connect, set GATEWAY_AUTH_TOKEN{reach}"})


@contextmanager
def _open_socket(options: ListenOptions) -> Iterator[socket.socket]:
    """Open a listening TCP socket.

    Its protocol is IPPROTO_TCP: only then does asyncio switch off Nagle's algorithm, which costs 40 ms. Raises
    ConfigError if the address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        try:
            # On Windows the option would let other processes share the port.
            if os.name == "posix":
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((options.host, options.port))
            listening.listen(_BACKLOG)
        except OSError as error:
            reason = f"cannot listen at {options.host}:{options.port}: {error.strerror or error}"
            mend = _MENDS.get(error.errno or 0, "correct GATEWAY_HOST")
            raise ConfigError(f"{reason}; {mend}") from None
        yield listening


def _local_address(listening: socket.socket) -> str:
    """Return an address that a client on this machine can use."""
    host, port = listening.getsockname()[:2]
    host = _EVERY_INTERFACE.get(host, host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
