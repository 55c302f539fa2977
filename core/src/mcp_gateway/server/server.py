"""The MCP server in front of the gateway, for both eras.

The SDK's low-level server handles the protocol: handshake, eras, validation of requests. Its results are replaced by
raw JSON, because its models drop unknown fields.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, TypeVar

import mcp_types as types
import structlog
from anyio.abc import TaskGroup
from mcp.server.context import CallNext, HandlerResult
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.shared.exceptions import MCPError
from mcp_types import METHOD_NOT_FOUND
from mcp_types.methods import SPEC_CLIENT_METHODS

from mcp_gateway.catalog.snapshot import Catalog
from mcp_gateway.gateway.gateway import SETTLE_SECONDS, Gateway
from mcp_gateway.loops.chain import chain_of
from mcp_gateway.plugin import Caller, SupportsRawDispatch
from mcp_gateway.protocol.client_channel import ALONE, ClientChannel, Json
from mcp_gateway.protocol.eras import adapt_result
from mcp_gateway.protocol.implementation import NAME, VERSION
from mcp_gateway.protocol.raw_json import decode_members, encode_members, is_object, members
from mcp_gateway.server.builtin_tools import builtin_tools
from mcp_gateway.server.clients import Clients, Context, caller_of, channel_of, is_modern
from mcp_gateway.server.early_handshake import EarlyClient
from mcp_gateway.server.list_changes import ListChanges
from mcp_gateway.server.listen import ListenStreams
from mcp_gateway.server.pipeline.client_request import ClientRequest
from mcp_gateway.server.pipeline.dispatcher import Dispatcher, select_passed_on
from mcp_gateway.server.pipeline.handlers import HandlerFn, RequestHandlers
from mcp_gateway.server.pipeline.pipes import Pipes
from mcp_gateway.server.prompts_resources import PromptsAndResources
from mcp_gateway.server.result_limits import ResultLimits
from mcp_gateway.server.server_info import describe_server, instructions_of, with_chain_answer
from mcp_gateway.server.tools import Tools

ResultT = TypeVar("ResultT")

_respond: ContextVar[Callable[[], Awaitable[None]]] = ContextVar("respond")


class GatewayServer(Server[Any]):
    """MCP server for a gateway.

    `tasks` lives as long as the gateway.
    """

    def __init__(
        self,
        gateway: Gateway,
        tasks: TaskGroup,
        results: ResultLimits,
        *,
        guest: EarlyClient | None = None,
    ) -> None:
        """Register the handlers of `gateway`.

        `results` limits the size of results.

        `guest` is a client whose first request was answered before it arrives here.
        """
        self._guest = guest
        self._gateway = gateway
        builtin = builtin_tools(gateway.registry.specs.values(), gateway.finder.max_results)
        self._tools = Tools(gateway, builtin, results)
        self._content = PromptsAndResources(gateway, results)
        listening = ListenStreams(gateway, self._content)
        self._clients = Clients(on_gone=self._on_client_left)
        self._list_changes = ListChanges(gateway, self._tools, self._clients, listening, tasks)
        super().__init__(
            NAME,
            version=VERSION,
            title="MCP Orchestration Gateway",
            instructions=instructions_of(gateway),
            on_list_tools=_stub(types.ListToolsResult(tools=[])),
            on_call_tool=_stub(types.CallToolResult(content=[])),
            on_list_prompts=_stub(types.ListPromptsResult(prompts=[])),
            on_get_prompt=_stub(types.GetPromptResult(messages=[])),
            on_list_resources=_stub(types.ListResourcesResult(resources=[])),
            on_list_resource_templates=_stub(types.ListResourceTemplatesResult(resource_templates=[])),
            on_read_resource=_stub(types.ReadResourceResult(contents=[])),
            on_completion=_stub(types.CompleteResult(completion=types.Completion(values=[]))),
            on_subscribe_resource=self._subscribe,
            on_unsubscribe_resource=self._unsubscribe,
            on_subscriptions_listen=listening,
            # Without it the SDK lists all tools before each modern call (issue 3565 of the SDK).
            get_tool_input_schema=self._tools.input_schema,
        )
        # Deprecated in the modern era, but part of the handshake era.
        self.add_request_handler("logging/setLevel", types.SetLevelRequestParams, self._set_level)
        self.add_notification_handler(
            "notifications/roots/list_changed", types.NotificationParams, self._on_roots_changed
        )
        # This also removes the SDK's OpenTelemetry middleware, which costs 0.05 ms per call even without an exporter.
        self.middleware[:] = [self._replace_result]
        self._handlers = RequestHandlers(self._tools, self._content, gateway, self._clients.record_listed)
        self._dispatcher = Dispatcher(gateway, self._clients, self._handlers)
        self.dispatch_raw = self._dispatcher.dispatch
        self.pipes = Pipes(self.dispatch_raw, self._on_pipe_closed)
        gateway.events.catalog_changed.subscribe(self._on_catalog_changed)
        gateway.events.caller_catalog_changed.subscribe(self._list_changes.on_caller_catalog_changed)
        self.way_to = self._clients.way_to

    def open_pipe(self) -> AbstractContextManager[SupportsRawDispatch]:
        """Return a pipe of one client; see `SupportsPipes`."""
        return self.pipes.open_pipe()

    async def answer(self, method: str, params: Json, caller: Caller, channel: ClientChannel = ALONE) -> Json:
        """Answer a request of the local socket, by the pipeline.

        `channel` leads back to who asks.

        Raises:
            MCPError: the answer is an error.

        """
        handler = self._handlers.find(method)
        if handler is None:
            raise MCPError(METHOD_NOT_FOUND, f"{method} cannot be asked by the local socket")
        request = ClientRequest(method, encode_members(params), {}, caller, modern=True, channel=channel)
        return decode_members(await self._handlers.answer(request, handler))

    def forget_client(self, client: str) -> None:
        """Forget a client of the local socket, which has left."""
        self._gateway.bridge.suspended.forget(client)
        self._on_client_left(client)

    def describe_clients(self) -> list[Json]:
        """Describe the clients that are connected."""
        return self._clients.describe()

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        """Declare `listChanged` in every handshake.

        The SDK's HTTP transport has no option for it.
        """
        options = notification_options or NotificationOptions(
            tools_changed=True, prompts_changed=True, resources_changed=True
        )
        return super().create_initialization_options(options, experimental_capabilities, extensions)

    async def _replace_result(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Replace the SDK's result with the handler's raw result, if any.

        The SDK validates the request first.
        """
        if ctx.request_id is None:
            return await call_next(ctx)
        modern = is_modern(ctx)
        if ctx.method in ("initialize", "server/discover"):
            return await self._initialize(ctx, call_next, modern=modern)
        if self._gateway.discovery.waiting:
            self._gateway.discovery.on_client_initialized(caller_of(ctx))
        self._clients.record_stdio_client(ctx)
        handler = self._handlers.find(ctx.method)
        if handler is None:
            return await call_next(ctx)
        if ctx.method not in SPEC_CLIENT_METHODS:
            return await self._respond(ctx, handler)
        answers: list[Json] = []

        async def respond() -> None:
            answers.append(await self._respond(ctx, handler))

        # By a context variable: the SDK validates the request, calls the handler, and would validate what it returns.
        token = _respond.set(respond)
        try:
            typed = await call_next(ctx)
        finally:
            _respond.reset(token)
        return answers[0] if answers else typed

    async def _initialize(self, ctx: Context, call_next: CallNext, *, modern: bool) -> HandlerResult:
        """Handle `initialize` and `server/discover`; register the client's capabilities.

        Listings are refreshed with these capabilities, which starts before the result is returned.
        """
        answer = await call_next(ctx)
        if not isinstance(answer, dict):
            return answer
        guest, self._guest = self._guest, None
        if not modern:
            self._clients.on_initialized(ctx, guest)
        self._clients.record_stdio_client(ctx)
        if guest is not None:
            guest.arrived.set()
        caller = caller_of(ctx)
        chain = chain_of((ctx.params or {}).get("_meta"), caller.headers)
        if not self._gateway.loops.position.find_fault(chain):
            self._gateway.discovery.on_client_initialized(caller)
        elif ctx.request is None and not self.pipes.names:
            self._gateway.discovery.waiting = False  # for the only client there are no servers
        transparent = self._gateway.resolver.transparent is not None
        seen = await self._gateway.resolver_for(caller, SETTLE_SECONDS if transparent else None)
        answer = with_chain_answer(describe_server(seen, answer, modern=modern), self._gateway.loops.position, chain)
        if not modern:
            return answer
        return decode_members(adapt_result(encode_members(answer), modern=True, own_meta=self._handlers.own_meta()))

    async def _respond(self, ctx: Context, handler: HandlerFn) -> Json:
        """Answer a request that came through the SDK, by the pipeline."""
        try:
            params = encode_members(ctx.params or {})
        except ValueError:  # the SDK reads NaN and Infinity, which nothing else takes for JSON
            raise MCPError(types.PARSE_ERROR, "a message must be JSON, which has no NaN and no Infinity") from None
        meta = members(params.pop("_meta")) if is_object(params.get("_meta")) else {}
        channel, queue = channel_of(ctx)
        request = ClientRequest(ctx.method, params, select_passed_on(meta), caller_of(ctx), is_modern(ctx), channel)
        with structlog.contextvars.bound_contextvars(request_id=uuid.uuid4().hex[:12]):
            try:
                return decode_members(await self._handlers.answer(request, handler))
            finally:
                await queue.drain()

    async def _subscribe(self, context: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        caller, uri = caller_of(context), str((context.params or {}).get("uri", params.uri))
        client = str(caller.client)

        async def on_updated(content: Json) -> None:
            if (way := self._clients.way_to(client)) is not None:
                way.notify("notifications/resources/updated", encode_members(content))

        await self._content.subscribe(client, uri, caller, on_updated)
        return types.EmptyResult()

    async def _unsubscribe(self, context: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        uri = str((context.params or {}).get("uri", params.uri))
        self._gateway.subscriptions.remove(str(caller_of(context).client), uri)
        return types.EmptyResult()

    async def _set_level(self, context: Context, params: types.SetLevelRequestParams) -> types.EmptyResult:
        self._clients.set_log_level(context, params.level)
        await self._gateway.pool.set_log_level(str(caller_of(context).client), params.level)
        return types.EmptyResult()

    async def _on_roots_changed(self, context: Context, _: types.NotificationParams | None) -> None:
        await self._gateway.pool.notify(str(caller_of(context).client), "notifications/roots/list_changed")

    def _on_client_left(self, client: str) -> None:
        """Forget a client that has left, and what it wanted."""
        self._dispatcher.leave(client)
        self._gateway.subscriptions.forget(client)
        self._gateway.pool.forget_client(client)
        self._gateway.views.forget_client(client)

    def _on_pipe_closed(self, name: str) -> None:
        """Forget a pipe, and the modern client that has its name."""
        self._clients.forget_pipe(name)
        self._on_client_left(name)

    def _on_catalog_changed(self, _: Catalog) -> None:
        # Before clients are notified, because they may read the instructions again.
        self.instructions = instructions_of(self._gateway)
        self._list_changes.on_catalog_changed()


def _stub(result: ResultT) -> Callable[[Context, Any], Awaitable[ResultT]]:
    """Return a handler by which the SDK validates a request.

    Its result is replaced.
    """

    async def handle(_: Context, __: Any) -> ResultT:
        await _respond.get()()
        return result

    return handle
