"""Towards clients: the SDK's ASGI application behind the gate, under uvicorn."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import uvicorn
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from mcp_gateway.plugin import ConfigError, DirectServer, ServerTransport
from mcp_gateway_transport_http.bounds import BoundedManager
from mcp_gateway_transport_http.front import PATH, Front
from mcp_gateway_transport_http.gate import TOKEN_HEADER, Gate
from mcp_gateway_transport_http.options import ListenOptions

if TYPE_CHECKING:
    from mcp_gateway_transport_http.visitors import Visitors

log = logging.getLogger(__name__)

_LOCAL_ORIGIN = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"
_BACKLOG = 2048


@dataclass(frozen=True, slots=True)
class HttpServerTransport:
    """Serves many clients at one address."""

    options: ListenOptions

    async def serve(self, server: Server[Any], *, ready: Callable[[str], None]) -> None:
        """Serve until cancelled; then give calls under way a moment to finish."""
        with _listening(self.options) as listening:
            where = f"http://{_shown(listening)}{PATH}"
            app, front = application(server, self.options)
            config = uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                http=front.protocol if front else "httptools",  # type: ignore[arg-type]  # it is called as a class would be
                loop="none",
                timeout_graceful_shutdown=max(1, round(self.options.grace)),
            )
            listener = _Listener(config, lambda: ready(where))
            if self.options.token is None and self.options.issuer is None:
                log.info("only this machine may connect: GATEWAY_AUTH_TOKEN is not set")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_stop_when_cancelled, listener)
                with anyio.CancelScope(shield=True):
                    await listener.serve(sockets=[listening])
                tasks.cancel_scope.cancel()


@asynccontextmanager
async def http_server_transport(options: ListenOptions) -> AsyncIterator[ServerTransport]:
    """There is nothing to open before it serves."""
    yield HttpServerTransport(options)


def application(server: Server[Any], options: ListenOptions) -> tuple[ASGIApp, Front | None]:
    """Return the ASGI application: CORS, the gate, and the SDK's endpoint; and what answers plain calls before it."""
    manager = BoundedManager(
        options,
        app=server,
        max_request_body_size=options.max_request_bytes,
        security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),  # the gate's job
    )
    visitors = _visitors(options)
    endpoint = Starlette(
        routes=[
            Route(PATH, StreamableHTTPASGIApp(manager)),
            Route("/health", _health),
            *(visitors.routes() if visitors is not None else ()),
        ],
        lifespan=lambda _: manager.run(),
    )
    gate = Gate(endpoint, options, visitors)
    behind = CORSMiddleware(
        gate,
        allow_origins=options.cors_origins,
        allow_origin_regex=_LOCAL_ORIGIN,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["*", "Authorization", TOKEN_HEADER],
        expose_headers=["Mcp-Session-Id", "MCP-Protocol-Version", "WWW-Authenticate"],
    )
    if not isinstance(server, DirectServer):
        return behind, None
    return behind, Front(server, gate, manager.touch, options.max_request_bytes)


def _visitors(options: ListenOptions) -> Visitors | None:
    if options.issuer is None:
        return None
    from mcp_gateway_transport_http.visitors import Visitors  # cryptography is slow to import

    return Visitors.of(options)


class _Listener(uvicorn.Server):
    """A uvicorn that leaves signals to the gateway, and tells when it can be connected to."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


async def _stop_when_cancelled(listener: uvicorn.Server) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        listener.should_exit = True


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


@contextmanager
def _listening(options: ListenOptions) -> Iterator[socket.socket]:
    """Bind a socket that says it is TCP: only then does asyncio switch off Nagle's 40 ms delays."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        try:
            if os.name == "posix":
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((options.host, options.port))
            listening.listen(_BACKLOG)
        except OSError as error:
            raise ConfigError(
                f"cannot listen at {options.host}:{options.port}: {error.strerror or error}; "
                "set GATEWAY_HOST and GATEWAY_PORT"
            ) from None
        yield listening


def _shown(listening: socket.socket) -> str:
    """Return an address that a client on this machine can use."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
