"""Real HTTP servers for the tests, each at a free port of this machine, in a thread of its own."""

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from mcp.server.lowlevel.server import Server
from mcp.server.sse import SseServerTransport
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from mcp_gateway_testkit import reference_server

Serve = Callable[[ASGIApp], str]


class Listener(uvicorn.Server):
    """A uvicorn that says when it has started."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve ASGI applications until the end of the test; return their addresses."""
    running: list[tuple[Listener, threading.Thread, socket.socket]] = []

    def start(app: ASGIApp) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        listener = Listener(app)
        thread = threading.Thread(target=listener.run, args=([listening],))
        thread.start()
        running.append((listener, thread, listening))
        assert listener.listening.wait(30)
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    yield start
    for listener, thread, listening in running:
        listener.should_exit = True
        thread.join(30)
        listening.close()


def sse_app(server: Server[Any]) -> Starlette:
    """Serve an SDK server over HTTP+SSE, with the transport of the SDK."""
    transport = SseServerTransport("/messages/")

    async def on_stream(request: Request) -> Response:
        async with transport.connect_sse(request.scope, request.receive, request._send) as (read, write):
            await server.run(read, write, server.create_initialization_options())
        return Response()

    return Starlette(
        routes=[Route("/sse", on_stream, methods=["GET"]), Mount("/messages/", app=transport.handle_post_message)]
    )


@pytest.fixture
def reference_url(serve: Serve) -> str:
    """Serve the reference server over HTTP+SSE; return its URL."""
    return f"{serve(sse_app(reference_server()))}/sse"
