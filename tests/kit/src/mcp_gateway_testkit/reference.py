"""Reference server for the transport contracts.

As a program, `-m mcp_gateway_testkit.reference`, it serves over stdio.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
from mcp.server import Server, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams

Json = dict[str, Any]
CallNext = Callable[[ServerRequestContext[Any, Any]], Awaitable[Any]]

FAILURE_CODE = -31999
FAILURE_DATA: Json = {"why": None, "big": 2**70}

ODD: Json = {
    "content": [{"type": "text", "text": "hi ✓", "xVendor": None}, {"type": "hologram", "rays": [3, {"deep": None}]}],
    "structuredContent": {"null": None, "big": 2**70, "float": 1.5, "text": "🦊", "list": []},
    "vendorField": {"z": 1, "a": 2},
    "_meta": {"vendor/note": None},
}
"""The result of the tool `odd`: fields and content that no SDK knows and that must arrive unmodified."""

TOOLS: list[Json] = [
    {"name": name, "description": text, "inputSchema": {"type": "object"}, "x-vendor": {"n": None, "big": 2**70}}
    for name, text in {
        "echo": "Say `say` back",
        "odd": "Answer with what no model knows",
        "fail": "Answer with a JSON-RPC error of its own, with `code` if there is one",
        "return": "Answer with `value` as structured content",
        "wait": "Answer when `release` was called with the same `name`",
        "release": "Let `wait` go on",
        "announce": "Send a notification",
        "report": "Report progress so many `times`, then answer",
        "process": "Tell the id of the server's process",
    }.items()
]
"""The definitions of the tools, as in the result of `tools/list`."""

_CACHING: Json = {"ttlMs": 0, "cacheScope": "private"}


class _Reference:
    """Middleware with the tools of the reference server.

    They return plain dictionaries, which the SDK passes on without validation.
    """

    def __init__(self) -> None:
        self._released: defaultdict[str, anyio.Event] = defaultdict(anyio.Event)

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> Any:
        modern = ctx.protocol_version >= "2026"
        params: Mapping[str, Any] = ctx.params or {}
        if ctx.method == "tools/list":
            return {"tools": TOOLS, **({"resultType": "complete", **_CACHING} if modern else {})}
        if ctx.method == "tools/call":
            answer = await self._call(ctx, params["name"], params.get("arguments") or {})
            return {**answer, **({"resultType": "complete"} if modern else {})}
        return await call_next(ctx)

    async def _call(self, context: ServerRequestContext[Any, Any], name: str, arguments: Json) -> Json:
        if name in _ANSWERS:
            return _ANSWERS[name](arguments)
        match name:
            case "fail":
                raise MCPError(int(arguments.get("code", FAILURE_CODE)), "it fails on purpose", FAILURE_DATA)
            case "wait":
                await self._released[str(arguments.get("name"))].wait()
                return _text("released")
            case "release":
                self._released[str(arguments.get("name"))].set()
            case "announce":
                await context.session.send_tool_list_changed()
            case "report":
                for number in range(int(arguments["times"])):
                    await context.session.report_progress(number + 1)
            case _:
                raise MCPError(-32602, f"Unknown tool: {name}")
        return _text("done")


def reference_server() -> Server[Any]:
    """Return an SDK server with the tools in `TOOLS`.

    It serves both eras of the protocol.
    """
    server: Server[Any] = Server(
        "reference",
        version="1",
        on_list_tools=_list_tools,
        on_call_tool=_call_tool,
        get_tool_input_schema=lambda _: None,
    )
    server.middleware[:] = [_Reference()]
    return server


def _text(text: str) -> Json:
    return {"content": [{"type": "text", "text": text}]}


_ANSWERS: Mapping[str, Callable[[Json], Json]] = {
    "echo": lambda arguments: _text(str(arguments.get("say"))),
    "odd": lambda _: ODD,
    "return": lambda arguments: {**_text("returned"), "structuredContent": {"value": arguments["value"]}},
    "process": lambda _: _text(str(os.getpid())),
}
"""The tools that answer at once."""


async def _list_tools(_: ServerRequestContext[Any, Any], __: PaginatedRequestParams | None) -> ListToolsResult:
    """Declare that there are tools: the middleware answers."""
    return ListToolsResult(tools=[])


async def _call_tool(_: ServerRequestContext[Any, Any], __: CallToolRequestParams) -> CallToolResult:
    """Never called, either."""
    return CallToolResult(content=[])


async def _serve() -> None:
    from mcp.server.stdio import stdio_server

    server = reference_server()
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


if __name__ == "__main__":
    anyio.run(_serve)
