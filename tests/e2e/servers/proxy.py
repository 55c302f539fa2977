"""A proxy made with the SDK: it shakes hands by itself, and passes on no more than tools, their arguments and prompts.

proxy.py URL MODE stdio | proxy.py URL MODE http PORT
"""

from __future__ import annotations

import sys
from typing import Any

import anyio
import mcp_types as types
from mcp.client import Client
from mcp.server import Server, ServerRequestContext

URL, MODE, TRANSPORT, *PORT = sys.argv[1:]


async def list_tools(_: ServerRequestContext[Any], __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    async with Client(URL, mode=MODE) as client:
        found = (await client.list_tools()).tools
    kept = ("name", "description", "input_schema", "output_schema")
    return types.ListToolsResult(tools=[types.Tool(**{key: getattr(tool, key) for key in kept}) for tool in found])


async def list_prompts(
    _: ServerRequestContext[Any], __: types.PaginatedRequestParams | None
) -> types.ListPromptsResult:
    async with Client(URL, mode=MODE) as client:
        return types.ListPromptsResult(prompts=(await client.list_prompts()).prompts)


async def call_tool(_: ServerRequestContext[Any], params: types.CallToolRequestParams) -> types.CallToolResult:
    async with Client(URL, mode=MODE) as client:
        return await client.call_tool(params.name, params.arguments)


server: Server[Any] = Server(
    "proxy", version="1", on_list_tools=list_tools, on_list_prompts=list_prompts, on_call_tool=call_tool
)


async def serve_stdio() -> None:
    from mcp.server.stdio import stdio_server

    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


if TRANSPORT == "stdio":
    anyio.run(serve_stdio)
else:
    import uvicorn

    uvicorn.run(server.streamable_http_app(), host="127.0.0.1", port=int(PORT[0]), log_level="info")
