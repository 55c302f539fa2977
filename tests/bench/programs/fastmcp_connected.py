"""FastMCP at its best: a connected client for each server, kept open and mounted; no sessions, JSON answers.

fastmcp_connected.py FILE (http PORT | stdio) [stateless] [json]
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from fastmcp import Client, FastMCP
from fastmcp.server import create_proxy

file, transport, *options = sys.argv[1:]
servers = json.loads(Path(file).read_text())["mcpServers"]


async def main() -> None:
    async with AsyncExitStack() as stack:
        gateway = FastMCP("gateway")
        for name, entry in servers.items():
            client = await stack.enter_async_context(Client({"mcpServers": {name: entry}}))
            gateway.mount(create_proxy(client), namespace=name)
        if transport == "http":
            modes = {"stateless_http": "stateless" in options, "json_response": "json" in options}
            await gateway.run_http_async(host="127.0.0.1", port=int(options[0]), show_banner=False, **modes)
        else:
            await gateway.run_stdio_async(show_banner=False)


asyncio.run(main())
