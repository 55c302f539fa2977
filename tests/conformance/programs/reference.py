"""A full-featured server for the conformance suite, in both eras and over both transports, made with the SDK.

reference.py stdio|http [--era handshake|modern]

With `--era` it does not know the other era. Over HTTP it prints its port when it is ready.
"""

from __future__ import annotations

import argparse
import socket
import sys
import warnings
from collections import deque
from contextlib import suppress
from typing import Any

import anyio
import mcp_types as types
from definitions import (
    ANSWERS,
    CHANGING_TOOLS,
    LOGGING_TOOLS,
    MESSAGES,
    PROMPTS,
    RESOURCES,
    TEMPLATE,
    Json,
    prompt,
    resource,
    text,
    tool,
)
from definitions import contents as contents_of
from definitions import messages as messages_of
from handshake_era import Past, without_modern_requests
from input_requests import CONVERSATIONS, Context, converse, told
from mcp.server import Server
from mcp.server.caching import CacheHint
from mcp.server.lowlevel.server import NotificationOptions
from mcp.server.models import InitializationOptions
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, PromptsListChanged, ToolsListChanged
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp_types.version import LATEST_MODERN_VERSION

NAME = "conformance-reference"
LEVELS: tuple[types.LoggingLevel, ...] = (
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
)
TOOLS = [
    *ANSWERS,
    *LOGGING_TOOLS,
    *CHANGING_TOOLS,
    *(name for name in CONVERSATIONS if name not in PROMPTS),
    "test_tool_with_progress",
    "test_reconnection",
]
RESOURCE_NOT_FOUND = -32002
HINT = CacheHint(ttl_ms=1000, scope="public")


def session_of(context: Context) -> str:
    """Return what tells a handshake-era connection from others."""
    return context.request.headers.get("mcp-session-id", "") if context.request is not None else ""


def complete(**fields: Any) -> Json:
    """Return a result; the SDK takes the mark of the modern era off where it does not belong."""
    return {"resultType": "complete", **fields}


class Reference(Server[Any]):
    """The server, and what it remembers."""

    def __init__(self, era: str | None) -> None:
        self.era = era
        self.changes = {"tools": 0, "prompts": 0}
        self.levels: dict[str, types.LoggingLevel] = {}
        self.watched: set[tuple[str, str]] = set()
        self.sessions: deque[ServerSession] = deque(maxlen=32)
        self.bus = InMemorySubscriptionBus()
        super().__init__(
            NAME,
            version="1",
            cache_hints={
                "server/discover": HINT,
                "tools/list": HINT,
                "prompts/list": HINT,
                "resources/list": HINT,
                "resources/templates/list": HINT,
                "resources/read": HINT,
            },
            get_tool_input_schema=lambda name: tool(name)["inputSchema"] if name in TOOLS else None,
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
            on_list_prompts=self.list_prompts,
            on_get_prompt=self.get_prompt,
            on_list_resources=self.list_resources,
            on_list_resource_templates=self.list_templates,
            on_read_resource=self.read_resource,
            on_subscribe_resource=self.subscribe,
            on_unsubscribe_resource=self.unsubscribe,
            on_subscriptions_listen=ListenHandler(self.bus),
            on_completion=self.suggest,
            on_set_logging_level=self.set_level,
        )
        self.add_notification_handler("notifications/initialized", types.NotificationParams, self.initialized)
        boundary = RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience=NAME)
        self.middleware[:] = [self.in_era, boundary]

    def create_initialization_options(self, *_: Any, **__: Any) -> InitializationOptions:
        """Announce that all lists may change."""
        changing = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
        return super().create_initialization_options(changing)

    async def in_era(self, context: Any, call_next: Any) -> Any:
        """Refuse to shake hands if only the modern era is spoken."""
        if context.method == "initialize" and self.era == "modern":
            data = {"supported": [LATEST_MODERN_VERSION], "requested": context.params.get("protocolVersion")}
            raise MCPError(types.UNSUPPORTED_PROTOCOL_VERSION, "Only the modern era is spoken here", data)
        return await call_next(context)

    async def initialized(self, context: Context, _: Any) -> None:
        """Remember whom to tell of changes."""
        self.sessions.append(context.session)

    async def list_tools(self, _: Context, __: Any) -> Any:
        """List all tools, on one page."""
        return complete(tools=[tool(name, self.changes["tools"]) for name in TOOLS])

    async def call_tool(self, context: Context, params: types.CallToolRequestParams) -> Any:
        """Do what the suite wants the tool to do."""
        name = params.name
        if name in CONVERSATIONS and name not in PROMPTS:
            answers = await converse(context, params, name, params.arguments or {})
            if isinstance(answers, types.InputRequiredResult):
                return answers
            return complete(content=[text(told(answers))])
        if name in LOGGING_TOOLS:
            await self.log(context)
        elif name in CHANGING_TOOLS:
            await self.change(CHANGING_TOOLS[name])
        elif name == "test_tool_with_progress":
            for done in (0, 50, 100):
                await context.session.report_progress(done, 100, f"Completed step {done} of 100")
        elif name == "test_reconnection":
            await self.reconnect(context)
        elif name not in ANSWERS:
            raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {name}")
        return complete(**ANSWERS.get(name, {"content": [text(f"Done: {name}")]}))

    async def log(self, context: Context) -> None:
        """Send messages, unless the client wants only graver ones."""
        wanted = self.levels.get(session_of(context), "debug")
        if LEVELS.index("info") >= LEVELS.index(wanted):
            for message in MESSAGES:
                await context.session.send_log_message("info", message, NAME, related_request_id=context.request_id)

    async def change(self, what: str) -> None:
        """Change a list, and tell everybody."""
        self.changes[what] += 1
        await self.bus.publish(ToolsListChanged() if what == "tools" else PromptsListChanged())
        for session in list(self.sessions):
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                tell = session.send_tool_list_changed if what == "tools" else session.send_prompt_list_changed
                await tell()

    async def reconnect(self, context: Context) -> None:
        """Close the stream of this call before its result is sent."""
        if context.close_sse_stream is not None:
            await context.close_sse_stream()
            await anyio.sleep(0.1)

    async def list_prompts(self, _: Context, __: Any) -> Any:
        """List all prompts."""
        return complete(prompts=[prompt(name, self.changes["prompts"]) for name in PROMPTS])

    async def get_prompt(self, context: Context, params: types.GetPromptRequestParams) -> Any:
        """Return a prompt's messages; one prompt asks back before."""
        if params.name not in PROMPTS:
            raise MCPError(types.INVALID_PARAMS, f"Unknown prompt: {params.name}")
        if params.name in CONVERSATIONS:
            answers = await converse(context, params, params.name, {})
            if isinstance(answers, types.InputRequiredResult):
                return answers
        return complete(messages=messages_of(params.name, params.arguments or {}))

    async def list_resources(self, _: Context, __: Any) -> Any:
        """List all resources."""
        return complete(resources=[resource(uri) for uri in RESOURCES])

    async def list_templates(self, _: Context, __: Any) -> Any:
        """List the one template."""
        return complete(resourceTemplates=[TEMPLATE])

    async def read_resource(self, context: Context, params: types.ReadResourceRequestParams) -> Any:
        """Return what is in a resource."""
        found = contents_of(params.uri)
        if found is None:
            modern = context.protocol_version == LATEST_MODERN_VERSION
            code = types.INVALID_PARAMS if modern else RESOURCE_NOT_FOUND
            raise MCPError(code, "Resource not found", {"uri": params.uri})
        return complete(contents=[found])

    async def subscribe(self, context: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        """Watch a resource."""
        self.watched.add((session_of(context), params.uri))
        return types.EmptyResult()

    async def unsubscribe(self, context: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        """Watch a resource no more."""
        self.watched.discard((session_of(context), params.uri))
        return types.EmptyResult()

    async def set_level(self, context: Context, params: types.SetLevelRequestParams) -> types.EmptyResult:
        """Send this client less, or more."""
        self.levels[session_of(context)] = params.level
        return types.EmptyResult()

    async def suggest(self, _: Context, params: types.CompleteRequestParams) -> Any:
        """Complete an argument with words that begin like it."""
        words = [word for word in ("test", "text", "toast") if word.startswith(params.argument.value)]
        return complete(completion={"values": words, "total": len(words), "hasMore": False})


async def serve_stdio(server: Reference) -> None:
    """Serve one client; the SDK finds out its era, unless only one era is spoken."""
    from mcp.server.runner import serve_loop
    from mcp.server.stdio import stdio_server

    async with stdio_server() as (incoming, outgoing), server.lifespan(server) as state:
        if server.era == "handshake":
            await serve_loop(server, incoming, outgoing, lifespan_state=state)
        else:
            await server.run(incoming, outgoing, server.create_initialization_options())


def serve_http(server: Reference) -> None:
    """Serve over HTTP on a free port, with streams that can be taken up again."""
    import uvicorn

    app: Any = server.streamable_http_app(event_store=Past(), retry_interval=100)
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(
        without_modern_requests(app) if server.era == "handshake" else app,
        http="h11",  # httptools leaves white space at the end of header values
        log_level="warning",
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[listener])


def main() -> None:
    """Serve as told."""
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    parser = argparse.ArgumentParser()
    parser.add_argument("transport", choices=["stdio", "http"])
    parser.add_argument("--era", choices=["handshake", "modern"])
    arguments = parser.parse_args()
    server = Reference(arguments.era)
    if arguments.transport == "stdio":
        anyio.run(serve_stdio, server)
    else:
        serve_http(server)


if __name__ == "__main__":
    sys.exit(main())
