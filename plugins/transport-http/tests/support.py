"""A transport that serves while a test runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp_gateway_transport_http import mcp_gateway_server_transports

(PROVIDER,) = mcp_gateway_server_transports()


@asynccontextmanager
async def open_server(server: Any, options: dict[str, str], seconds: float) -> AsyncIterator[int]:
    """Serve; yield the port. What is done with it has so many `seconds`."""
    addresses: list[str] = []
    opened = anyio.Event()

    def ready(where: str) -> None:
        addresses.append(where)
        opened.set()

    async with PROVIDER.bind(options).open() as transport, anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: transport.serve(server, ready=ready))
        with anyio.fail_after(seconds):
            await opened.wait()
            yield int(addresses[0].split(":")[2].removesuffix("/mcp"))
        tasks.cancel_scope.cancel()
