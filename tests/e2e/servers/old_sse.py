"""A server over HTTP+SSE, made with the SDK, that writes down which requests it gets.

old_sse.py PORT LOG [CERTIFICATE AUTHORITY]
"""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from starlette.types import ASGIApp, Receive, Scope, Send

PORT, LOG, *TLS = sys.argv[1:]
server = MCPServer("old")


@server.tool()
def echo(text: str) -> str:
    """Return a text."""
    return text


@server.tool()
async def report(ctx: Context, steps: int) -> str:
    """Report progress, then answer."""
    for step in range(steps):
        await ctx.report_progress(step + 1, steps)
    return "reported"


def write_down(line: str) -> None:
    """Append a line to the log."""
    with Path(LOG).open("a", encoding="utf-8") as log:
        log.write(line)


class Logged:
    """Writes a line for each request, then passes it on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            key = dict(scope["headers"]).get(b"x-key", b"").decode()
            write_down(f"{scope['method']} {scope['path']} {key}\n")
        await self._app(scope, receive, send)


secured = {"ssl_certfile": TLS[0], "ssl_ca_certs": TLS[1], "ssl_cert_reqs": ssl.CERT_REQUIRED} if TLS else {}
uvicorn.run(Logged(server.sse_app()), host="127.0.0.1", port=int(PORT), log_level="warning", **secured)
