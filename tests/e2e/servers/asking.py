"""A server of the modern era, made with the SDK, whose tools ask back before they answer.

asking.py stdio | asking.py http PORT
"""

from __future__ import annotations

import sys
from typing import Any

import anyio
import mcp_types as types
from mcp.server import Server, ServerRequestContext

NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
MESSAGE = types.SamplingMessage(role="user", content=types.TextContent(type="text", text="Say a word"))
QUESTIONS: dict[str, Any] = {
    "form": types.ElicitRequest(params=types.ElicitRequestFormParams(message="Your name?", requested_schema=NAME)),
    "link": types.ElicitRequest(params=types.ElicitRequestURLParams(message="Log in", url="https://login.example/")),
    "sampling": types.CreateMessageRequest(
        params=types.CreateMessageRequestParams(messages=[MESSAGE], max_tokens=5),
    ),
    "roots": types.ListRootsRequest(),
}


async def list_tools(_: ServerRequestContext[Any], __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    names = [*QUESTIONS, "twice", "endless"]
    return types.ListToolsResult(tools=[types.Tool(name=name, input_schema={"type": "object"}) for name in names])


async def call_tool(
    _: ServerRequestContext[Any], params: types.CallToolRequestParams
) -> types.CallToolResult | types.InputRequiredResult:
    answered = params.input_responses or {}
    rounds = int(params.request_state or "0")
    if params.name == "endless" or (params.name == "twice" and rounds < 2) or not answered:
        question = QUESTIONS.get(params.name, QUESTIONS["form"])
        return types.InputRequiredResult(input_requests={"question": question}, request_state=str(rounds + 1))
    said = answered["question"].model_dump_json(by_alias=True, exclude_none=True)
    return types.CallToolResult(content=[types.TextContent(type="text", text=f"{rounds}: {said}")])


server: Server[Any] = Server("asking", version="1", on_list_tools=list_tools, on_call_tool=call_tool)


async def serve_stdio() -> None:
    from mcp.server.stdio import stdio_server

    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


if sys.argv[1] == "stdio":
    anyio.run(serve_stdio)
else:
    import uvicorn

    uvicorn.run(server.streamable_http_app(), host="127.0.0.1", port=int(sys.argv[2]), log_level="info")
