"""The MCP server in front of the gateway, for both eras.

The SDK's low-level server handles the protocol: handshake, eras, validation of requests. Its results are replaced by
raw JSON, because its models drop unknown fields.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Mapping
from contextvars import ContextVar
from typing import Any

import mcp_types as types
import structlog
from anyio.abc import TaskGroup
from mcp.server.context import CallNext, HandlerResult
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.shared.exceptions import MCPError
from mcp_types.methods import SPEC_CLIENT_METHODS

from mcp_gateway.catalog.snapshot import Catalog
from mcp_gateway.gateway.gateway import SETTLE_SECONDS, Gateway
from mcp_gateway.plugin import Principal, RawResponse
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.protocol.eras import adapt_error, adapt_result
from mcp_gateway.protocol.implementation import NAME, VERSION
from mcp_gateway.protocol.primitives import PROMPTS, RESOURCES, TEMPLATES
from mcp_gateway.server.builtin_tools import builtin_tools
from mcp_gateway.server.clients import Clients, Context, caller_of, channel_of, is_modern
from mcp_gateway.server.early_handshake import EarlyClient
from mcp_gateway.server.fast_path.dispatch import FastPath
from mcp_gateway.server.list_changes import ListChanges
from mcp_gateway.server.listen import ListenStreams
from mcp_gateway.server.prompts_resources import PromptsAndResources
from mcp_gateway.server.result_limits import ResultLimits
from mcp_gateway.server.server_info import describe_server, instructions_of, server_info
from mcp_gateway.server.tools import Tools

_answer: ContextVar[list[Json]] = ContextVar("answer")


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
        direct: bool = True,
        guest: EarlyClient | None = None,
    ) -> None:
        """Register the handlers of `gateway`.

        `results` limits the size of results; without `direct` there is no fast path. `guest` is a client whose
        handshake was answered early.
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
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_list_prompts=self._list_prompts,
            on_get_prompt=self._get_prompt,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_templates,
            on_read_resource=self._read_resource,
            on_completion=self._complete,
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
        self._direct = FastPath(gateway, self._clients, self._tools, results)
        self._has_fast_path = direct
        gateway.events.catalog_changed.subscribe(self._on_catalog_changed)
        gateway.events.caller_catalog_changed.subscribe(self._list_changes.on_caller_catalog_changed)
        self.way_to = self._clients.way_to

    def dispatch_raw(
        self, message: bytes, headers: Mapping[str, str] | None = None, principal: Principal | None = None
    ) -> Awaitable[RawResponse] | None:
        """Dispatch a raw message on the fast path; see `SupportsRawDispatch`.

        None means that the message must take the SDK path.
        """
        return self._direct.dispatch_raw(message, headers, principal) if self._has_fast_path else None

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
            # The SDK does not know calls on the fast path, so they are cancelled here.
            if ctx.method == "notifications/cancelled":
                self._direct.cancel(str(caller_of(ctx).client), (ctx.params or {}).get("requestId"))
            return await call_next(ctx)
        modern = is_modern(ctx)
        if ctx.method in ("initialize", "server/discover"):
            return await self._initialize(ctx, call_next, modern=modern)
        if self._gateway.discovery.waiting:
            self._gateway.discovery.on_client_initialized(caller_of(ctx))
        self._clients.record_stdio_client(ctx)
        answers: list[Json] = []
        # Through a context variable, because the SDK calls the handler and would validate its result.
        token = _answer.set(answers)
        try:
            # For unknown methods the SDK would answer -32601 by itself, so these are forwarded here.
            typed = await (call_next(ctx) if ctx.method in SPEC_CLIENT_METHODS else self._forward(ctx))
        except MCPError as error:
            raise adapt_error(error, modern=modern) from None
        finally:
            _answer.reset(token)
        if not answers:
            return typed
        return adapt_result(answers[0], modern=modern, server_info=server_info(self._gateway))

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
        self._gateway.discovery.on_client_initialized(caller_of(ctx))
        transparent = self._gateway.resolver.transparent is not None
        seen = await self._gateway.resolver_for(caller_of(ctx), SETTLE_SECONDS if transparent else None)
        answer = describe_server(seen, answer, modern=modern)
        return adapt_result(answer, modern=True, server_info=server_info(self._gateway)) if modern else answer

    async def _forward(self, ctx: Context) -> None:
        """Handle a method outside the current specification by forwarding.

        A server may support it, as a method of an earlier version or of an extension.
        """
        await _set_raw_result(self._content.forward(ctx.method, ctx.params or {}, caller_of(ctx), channel_of(ctx)))

    async def _list_tools(self, context: Context, _: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        await _set_raw_result(self._tools.list(caller_of(context), modern=is_modern(context)))
        return types.ListToolsResult(tools=[])

    async def _call_tool(self, context: Context, _: types.CallToolRequestParams) -> types.CallToolResult:
        await _set_raw_result(self._tools.call(context.params or {}, caller_of(context), channel_of(context)))
        return types.CallToolResult(content=[])

    async def _list_prompts(self, context: Context, _: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
        await _set_raw_result(self._content.list(PROMPTS, caller_of(context)))
        return types.ListPromptsResult(prompts=[])

    async def _get_prompt(self, context: Context, _: types.GetPromptRequestParams) -> types.GetPromptResult:
        await _set_raw_result(self._content.get_prompt(context.params or {}, caller_of(context), channel_of(context)))
        return types.GetPromptResult(messages=[])

    async def _list_resources(
        self, context: Context, _: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        await _set_raw_result(self._content.list(RESOURCES, caller_of(context)))
        return types.ListResourcesResult(resources=[])

    async def _list_templates(
        self, context: Context, _: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        await _set_raw_result(self._content.list(TEMPLATES, caller_of(context)))
        return types.ListResourceTemplatesResult(resource_templates=[])

    async def _read_resource(self, context: Context, _: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        channel, modern = channel_of(context), is_modern(context)
        await _set_raw_result(self._content.read(context.params or {}, caller_of(context), channel, modern=modern))
        return types.ReadResourceResult(contents=[])

    async def _complete(self, context: Context, _: types.CompleteRequestParams) -> types.CompleteResult:
        await _set_raw_result(self._content.complete(context.params or {}, caller_of(context)))
        return types.CompleteResult(completion=types.Completion(values=[]))

    async def _subscribe(self, context: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        caller, uri = caller_of(context), str((context.params or {}).get("uri", params.uri))
        client = str(caller.client)

        async def on_updated(content: Json) -> None:
            if (way := self._clients.way_to(client)) is not None:
                await way.notify("notifications/resources/updated", content)

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
        """Forget a client that has left, with its subscriptions."""
        self._direct.leave(client)
        self._gateway.subscriptions.forget(client)
        self._gateway.pool.forget_client(client)
        self._gateway.views.forget_client(client)

    def _on_catalog_changed(self, _: Catalog) -> None:
        # Before clients are notified, because they may read the instructions again.
        self.instructions = instructions_of(self._gateway)
        self._list_changes.on_catalog_changed()


async def _set_raw_result(answer: Awaitable[Json]) -> None:
    """Store the raw result for the middleware.

    A request id is bound, so that it is in every log line of the request.
    """
    with structlog.contextvars.bound_contextvars(request_id=uuid.uuid4().hex[:12]):
        _answer.get().append(await answer)
