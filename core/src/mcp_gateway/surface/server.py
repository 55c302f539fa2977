"""The MCP server that stands in front of the gateway, for clients of both protocol eras.

The SDK's low-level server keeps the protocol: handshake, eras, validation of requests.
What it is to answer is put in its place as raw JSON, since its models drop fields.
"""

from __future__ import annotations

import uuid
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any

import mcp_types as types
import structlog
from anyio.abc import TaskGroup
from mcp.server import Server
from mcp.server.context import CallNext, HandlerResult
from mcp.server.lowlevel.server import NotificationOptions
from mcp.server.models import InitializationOptions
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged

from mcp_gateway.catalogue import Catalogue
from mcp_gateway.gateway import Gateway
from mcp_gateway.surface.clients import Clients, Context, caller_of, is_modern
from mcp_gateway.surface.eras import Json, as_definition, as_result
from mcp_gateway.surface.own_tools import instructions, own_tools
from mcp_gateway.surface.tools import Tools
from mcp_gateway.version import NAME, VERSION

log = structlog.get_logger(__name__)

_answer: ContextVar[list[Json]] = ContextVar("answer")


class GatewayServer(Server[Any]):
    """Answers clients for a gateway. `tasks` run as long as the gateway does."""

    def __init__(self, gateway: Gateway, tasks: TaskGroup) -> None:
        """Stand in front of `gateway`."""
        self._gateway = gateway
        self._tools = Tools(gateway, own_tools(gateway.registry.specs.values()))
        self._tasks = tasks
        self._bus = InMemorySubscriptionBus()
        self._clients = Clients(on_gone=gateway.pool.forget_client)
        self._exposed = gateway.exposed()
        super().__init__(
            NAME,
            version=VERSION,
            title="MCP Orchestration Gateway",
            instructions=self._instructions(gateway.registry.catalogue),
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_subscriptions_listen=ListenHandler(self._bus),
            get_tool_input_schema=self._tools.input_schema,
        )
        self.middleware[:] = [self._raw]
        gateway.registry.on_change.append(self._changed)

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        """Say in every handshake that the list of tools may change; the SDK's HTTP transport has no option for it."""
        options = notification_options or NotificationOptions(tools_changed=True)
        return super().create_initialization_options(options, experimental_capabilities, extensions)

    async def _raw(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Let the SDK check a request; give the client the raw answer that the handler left, if it left one."""
        if ctx.request_id is None:
            if ctx.method == "notifications/initialized":
                self._clients.joined(ctx)
            return await call_next(ctx)
        answers: list[Json] = []
        token = _answer.set(answers)
        try:
            typed = await call_next(ctx)
        finally:
            _answer.reset(token)
        return as_result(answers[0], modern=is_modern(ctx)) if answers else typed

    async def _list_tools(self, context: Context, _: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        with _named_request():
            _answer.get().append(await self._tools.list(caller_of(context), modern=is_modern(context)))
        return types.ListToolsResult(tools=[])

    async def _call_tool(self, context: Context, _: types.CallToolRequestParams) -> types.CallToolResult:
        with _named_request():
            called = self._tools.call(context.params or {}, caller_of(context), context.session.report_progress)
            _answer.get().append(await called)
        return types.CallToolResult(content=[])

    def _instructions(self, catalogue: Catalogue) -> str:
        about = {name: tools.about for name, tools in catalogue.servers.items()}
        return instructions(self._gateway.registry.specs.values(), about)

    def _changed(self, catalogue: Catalogue) -> None:
        """Follow a new catalogue: describe its servers; tell clients if what is listed natively has changed."""
        self.instructions = self._instructions(catalogue)
        exposed = self._gateway.exposed()
        if exposed != self._exposed:
            self._exposed = exposed
            self._warn_of_unlistable()
            self._tasks.start_soon(self._tell_tools_changed)

    def _warn_of_unlistable(self) -> None:
        names = [name for name, definition in self._exposed if as_definition(definition, modern=True) is None]
        if names:
            log.warning(
                "tools without a proper inputSchema are not listed natively, only found and called", tools=names
            )

    async def _tell_tools_changed(self) -> None:
        await self._bus.publish(ToolsListChanged())
        await self._clients.tell_tools_changed()


def _named_request() -> AbstractContextManager[Any]:
    """Give a request an id that stands in every log line of it; the clients' own ids are not unique."""
    return structlog.contextvars.bound_contextvars(request_id=uuid.uuid4().hex[:12])
