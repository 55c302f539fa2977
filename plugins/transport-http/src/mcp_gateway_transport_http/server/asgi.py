"""ASGI application and uvicorn server.

The authentication middleware wraps the SDK's ASGI application. This module is slow to import.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

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

from mcp_gateway.plugin import SupportsRawDispatch
from mcp_gateway_transport_http.auth.bearer import TOKEN_HEADER, BearerAuthMiddleware
from mcp_gateway_transport_http.http1.bounded_protocol import BoundedProtocol
from mcp_gateway_transport_http.http1.connection_bounds import ConnectionBounds, raise_file_limit
from mcp_gateway_transport_http.http1.connection_registry import ConnectionRegistry
from mcp_gateway_transport_http.options import PATH, ListenOptions
from mcp_gateway_transport_http.server.message_endpoint import MessageEndpoint
from mcp_gateway_transport_http.server.session_limits import LimitedSessionManager

if TYPE_CHECKING:
    from mcp_gateway_transport_http.auth.oauth import OAuthResourceServer

_INVALID_REQUEST = -32600
_LOCAL_ORIGIN = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"


def build_uvicorn_server(server: Server[Any], options: ListenOptions, ready: Callable[[], None]) -> uvicorn.Server:
    """Return a uvicorn server for the application.

    `ready` is called when clients can connect.
    """
    bounds = ConnectionBounds.of(options, raise_file_limit(options.max_connections))
    registry = ConnectionRegistry(bounds)
    app, endpoint = build_application(server, options, registry)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # else FORWARDED_ALLOW_IPS lets a header say where a request comes from
        http=endpoint.build_protocol if endpoint else partial(BoundedProtocol, registry),  # type: ignore[arg-type]  # called as a class
        backlog=bounds.backlog,
        # The gateway's event loop is already running.
        loop="none",
        timeout_graceful_shutdown=options.grace,  # type: ignore[arg-type]  # it is only handed to asyncio.wait_for
    )
    return _UvicornServer(config, ready)


def build_application(
    server: Server[Any], options: ListenOptions, registry: ConnectionRegistry
) -> tuple[ASGIApp, MessageEndpoint | None]:
    """Return the ASGI application and the endpoint before it.

    The application is CORS, authentication and the SDK's endpoint. The endpoint before it dispatches messages as
    bytes; it is None if the server cannot do that.
    """
    manager = LimitedSessionManager(
        options,
        app=server,
        max_request_body_size=options.max_request_bytes,
        security_settings=TransportSecuritySettings(
            enable_dns_rebinding_protection=False
        ),  # BearerAuthMiddleware checks
    )
    visitors = _resource_server(options)
    endpoint = Starlette(
        routes=[
            Route(PATH, StreamableHTTPASGIApp(manager)),
            Route("/health", _health),
            *(visitors.routes() if visitors is not None else ()),
        ],
        lifespan=lambda _: manager.run(),
        exception_handlers={404: _answer_not_found},
    )
    gate = BearerAuthMiddleware(endpoint, options, visitors)
    behind = CORSMiddleware(
        gate,
        allow_origins=options.cors_origins,
        allow_origin_regex=_LOCAL_ORIGIN,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["*", "Authorization", TOKEN_HEADER],
        expose_headers=["Mcp-Session-Id", "MCP-Protocol-Version", "WWW-Authenticate"],
    )
    if not isinstance(server, SupportsRawDispatch):
        return behind, None
    return behind, MessageEndpoint(server, gate, behind, manager, registry)


def _resource_server(options: ListenOptions) -> OAuthResourceServer | None:
    if options.issuer is None:
        return None
    from mcp_gateway_transport_http.auth.oauth import OAuthResourceServer  # cryptography is slow to import

    return OAuthResourceServer.from_options(options)


class _UvicornServer(uvicorn.Server):
    """A uvicorn server without signal handlers, with a ready callback.

    The gateway handles signals itself.
    """

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


async def _answer_not_found(_request: Request, _error: Exception) -> Response:
    error = {"code": _INVALID_REQUEST, "message": f"There is nothing here; MCP (Streamable HTTP) is at {PATH}"}
    return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, 404)


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})
