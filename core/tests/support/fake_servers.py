"""Servers behind the gateway: real ones of the SDK, in memory, and ones that answer what a test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from inspect import isawaitable
from typing import Any

import anyio
import anyio.lowlevel
from mcp.server import Server
from mcp.server.runner import serve_loop
from mcp.shared.exceptions import MCPError
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp.shared.memory import create_client_server_memory_streams
from mcp.types import CallToolResult, ListToolsResult

from mcp_gateway.plugin import Credentials
from mcp_gateway.plugin.utilities.stream_channel import StreamChannel

Json = dict[str, Any]

WAIT_SECONDS = 5.0
"""How many seconds a test waits for what should happen at once."""


async def until(condition: Callable[[], object]) -> None:
    """Let the other tasks run until `condition` holds."""
    with anyio.fail_after(WAIT_SECONDS):
        while not condition():
            await anyio.lowlevel.checkpoint()


def tool(name: str, description: str = "", **more: Any) -> Json:
    return {"name": name, "description": description, "inputSchema": {"type": "object", "properties": {}}, **more}


def text(response: str) -> Json:
    return {"content": [{"type": "text", "text": response}]}


class Remote:
    """A downstream MCP server in memory, for both eras or the old one; and the client transport that leads to it.

    `answers` says what a tool answers: a result, an error to raise, or an async function of the params.
    """

    def __init__(self, *tools: Json, handshake: bool = False, credentials: bool = False, **options: Any) -> None:
        self.tools = list(tools)
        self.handshake = handshake
        self.carries_credentials = credentials
        self.answers: dict[str, Any] = {}
        self.refusal: Exception | None = None
        self.listing = anyio.Event()
        self.may_list: anyio.Event | None = None
        self.page_size = 1000
        self.silent = False
        self.opened: list[dict[str, str]] = []
        self.open = 0
        self.listed = 0
        self.calls: list[Json] = []
        self._lines: list[Any] = []
        self._sessions: list[Any] = []
        self._server: Server[Any] = Server(
            "remote", version="1", on_list_tools=_list_nothing, on_call_tool=_call_nothing, **options
        )
        self._server.get_tool_input_schema = lambda _: None
        self._server.middleware[:] = [self._raw]

    @asynccontextmanager
    async def connect(self, credentials: Credentials) -> AsyncIterator[Any]:
        self.opened.append(credentials.headers)
        if self.refusal is not None:
            raise self.refusal
        async with create_client_server_memory_streams() as (ours, theirs), anyio.create_task_group() as tasks:
            tasks.start_soon(self._serve, theirs)
            self._lines.append(theirs)
            self.open += 1
            try:
                yield ours
            finally:
                self.open -= 1
                self._lines.remove(theirs)
                tasks.cancel_scope.cancel()

    async def die(self) -> None:
        """Close every connection, as a process does that ends."""
        for read, write in list(self._lines):
            await read.aclose()
            await write.aclose()

    async def announce(self) -> None:
        """Tell the clients of the handshake era that the tools have changed."""
        for session in self._sessions:
            await session.send_tool_list_changed()

    async def _serve(self, streams: Any) -> None:
        options = self._server.create_initialization_options()
        if self.handshake:
            await serve_loop(self._server, *streams, lifespan_state=None, init_options=options)
        else:
            await self._server.run(*streams, options)

    async def _raw(self, ctx: Any, call_next: Any) -> Any:
        if self.silent:
            await anyio.sleep_forever()
        if ctx.method == "notifications/initialized":
            self._sessions.append(ctx.session)
        if ctx.method == "tools/list":
            return await self._list((ctx.params or {}).get("cursor"))
        if ctx.method == "tools/call":
            self.calls.append(dict(ctx.params))
            return await self._call(ctx)
        return await call_next(ctx)

    async def _list(self, cursor: str | None) -> Json:
        self.listed += 1
        tools = list(self.tools)  # of now, however long the answer takes
        self.listing.set()
        if self.may_list is not None:
            await self.may_list.wait()
        first = int(cursor or 0)
        following = first + self.page_size
        more = {"nextCursor": str(following)} if following < len(tools) else {}
        return {"tools": tools[first:following], **more}

    async def _call(self, ctx: Any) -> Json:
        answer = self.answers.get(ctx.params["name"], text("done"))
        if isinstance(answer, Exception):
            raise answer
        return await answer(ctx) if callable(answer) else answer


class SlowServer(Remote):
    """A server that starts when it may; meanwhile it writes lines for people."""

    def __init__(self, *tools: Json, **options: Any) -> None:
        super().__init__(*tools, **options)
        self.may_start = anyio.Event()
        self.line = ""

    @asynccontextmanager
    async def connect(self, credentials: Credentials) -> AsyncIterator[Any]:
        async with super().connect(credentials) as streams, _WritingChannel(*streams) as channel:
            channel.server = self
            yield channel

    async def _serve(self, streams: Any) -> None:
        await self.may_start.wait()
        await super()._serve(streams)


class _WritingChannel(StreamChannel):
    """A channel to a server that writes lines for people."""

    server: SlowServer

    @property
    def last_line(self) -> str:
        return self.server.line


async def _list_nothing(_: Any, __: Any) -> ListToolsResult:
    return ListToolsResult(tools=[])


async def _call_nothing(_: Any, __: Any) -> CallToolResult:
    return CallToolResult(content=[])


class EndingServer(Remote):
    """A server of the handshake era that ends at certain first messages, like those on older Rust SDKs."""

    def __init__(self, *tools: Json, ends: tuple[str, ...] = ("server/discover",), **options: Any) -> None:
        super().__init__(*tools, handshake=True, **options)
        self.ends = ends

    async def _serve(self, streams: Any) -> None:
        read, write = streams
        first = await read.receive()
        if first.message.method in self.ends:
            await self.die()
            return
        send, again = anyio.create_memory_object_stream[Any](10)
        async with send, again, anyio.create_task_group() as tasks:
            await send.send(first)
            tasks.start_soon(_pass_on, read, send)
            await super()._serve((again, write))
            tasks.cancel_scope.cancel()


async def _pass_on(read: Any, send: Any) -> None:
    async for message in read:
        await send.send(message)


@asynccontextmanager
async def scripted_streams(answers: Mapping[str, Any]) -> AsyncIterator[Any]:
    """Open a transport to a server that answers only the methods in `answers`, and is silent to those with `...`."""

    async def answer_request(_: Any, method: str, params: Any) -> Json:
        answer = answers.get(method, MCPError(-32601, f"Method not found: {method}"))
        if answer is ...:
            await anyio.sleep_forever()
        if isinstance(answer, Exception):
            raise answer
        response = answer(params) if callable(answer) else answer
        return await response if isawaitable(response) else response

    async def ignore_notification(_: Any, __: str, ___: Any) -> None:
        """Take a notification."""

    async with create_client_server_memory_streams() as (ours, theirs), anyio.create_task_group() as tasks:
        await tasks.start(JSONRPCDispatcher(*theirs).run, answer_request, ignore_notification)
        yield ours
        tasks.cancel_scope.cancel()


class ScriptedTransport:
    """A client transport to a server that gives these answers, and to no other method."""

    carries_credentials = False

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._answers = answers

    def connect(self, _: Credentials) -> Any:
        return scripted_streams(self._answers)
