"""A client of a gateway in this process.

It goes through the gateway's MCP interface, as a model's program would.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import anyio
from mcp.shared.exceptions import MCPError
from mcp.shared.memory import create_client_server_memory_streams

from mcp_gateway.app import RunningGateway, open_gateway
from mcp_gateway.catalog.listing import Definition
from mcp_gateway.catalog.server_health import State
from mcp_gateway.client.connection import Connection, open_connection
from mcp_gateway.client.errors import leaf_of
from mcp_gateway.client.handshake import negotiate
from mcp_gateway.client.in_flight import InFlightRequest
from mcp_gateway.client.server_messages import ServerMessageRouter
from mcp_gateway.config.server_file import ServerFile
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.config.time_limits import TimeLimit
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.terminal import complain
from mcp_gateway.discovery.start_limit import limit_start
from mcp_gateway.gateway.find_tool import find_tool
from mcp_gateway.plugin import ANONYMOUS, ConfigError, ServerUnavailable
from mcp_gateway.protocol._sdk import Transport
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.protocol.encoded_json import read
from mcp_gateway.protocol.primitives import TOOLS
from mcp_gateway.protocol.raw_json import Fields, decode_member
from mcp_gateway.protocol.tool_names import SEPARATOR, split_name

LOOK_SECONDS = 30.0
"""How long `servers` and `search` wait for servers; then they show which are still starting."""

SUGGESTION_SECONDS = 3.0
"""How long servers are waited for that can only tell which tool was meant."""

NAMESAKE_SECONDS = 1.0
"""How long they are waited for once a tool can be suggested: others may have one of that name, too."""

AnswerFn = Callable[[str, Json], Awaitable[Json]]
"""Answers a server's question: its method and params, the result of that method."""

ProgressFn = Callable[[str], None]
"""Receives what a server says of its progress."""

PROGRESS = "notifications/progress"
_META: Json = {"progressToken": "call"}

QUESTIONS: Json = {"elicitation": {"form": {}, "url": {}}}
"""The capabilities of a client with a person in front of it."""

_MAX_ROUNDS = 20
"""How often a call may come back with questions."""


@dataclass(slots=True, eq=False)
class _ProgressRouter(ServerMessageRouter):
    """The router of a client whose calls show their progress."""

    on_progress: ProgressFn | None = None

    def on_notification(self, method: str, params: Fields, exchange: InFlightRequest | None = None) -> None:
        """Hand on what a progress notification says."""
        if method == PROGRESS and self.on_progress is not None:
            self.on_progress(describe_progress(params))
        else:
            ServerMessageRouter.on_notification(self, method, params, exchange)


@dataclass(frozen=True, slots=True)
class LocalClient:
    """A client of a gateway in this process."""

    running: RunningGateway
    connection: Connection
    router: _ProgressRouter
    patience: float
    """For how many seconds the slowest server may start and list."""

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        answer: AnswerFn | None = None,
        on_progress: ProgressFn | None = None,
    ) -> Json:
        """Call a tool of the gateway; return the unmodified result.

        A JSON-RPC error becomes a result with `isError`. Without `answer` servers cannot ask anything.
        """
        params: Json = {"name": tool, "arguments": dict(arguments)}
        if on_progress is not None:
            self.router.on_progress = on_progress
            params["_meta"] = _META
        capabilities = QUESTIONS if answer else None

        async def send(params: Json) -> Json:
            return await self.connection.request("tools/call", params, capabilities=capabilities)

        try:
            return await send_and_answer(send, params, answer)
        except MCPError as error:
            text = f"{error.error.message} (the server's error {error.error.code})"
            return error_result(text) | {"error": _error(error)}

    async def find_definition(self, name: str) -> tuple[str, Definition]:
        """Return a tool's server and definition by the tool's full name.

        It waits until the server has started.

        Raises:
            GatewayError: there is none, it may not be called, or its server cannot be asked.

        """
        gateway = self.running.gateway
        seen = await gateway.resolver_for(ANONYMOUS)
        spec = seen.tool_server(name)
        await self.check_server(spec, spec.time_limits.call)
        listing, tool = await find_tool(gateway.views, spec, name, ANONYMOUS, seen=seen, common=gateway.resolver)
        shown = dict(listing.shown(TOOLS)).get(listing.full_name(tool))
        if shown is None:
            raise ConfigError(f"server {spec.name!r} defines no tool {tool!r} that clients would take")
        return spec.name, read(shown)

    async def check_server(self, spec: ServerSpec, patience: TimeLimit | None = None) -> None:
        """Wait until a server has been listed; `patience` as in `limit_start`.

        Raises:
            StillStarting: it starts for longer.
            ServerUnavailable: it is down, and to ask it anything would only start it once more.

        """
        gateway = self.running.gateway
        if (refresh := gateway.discovery.scheduler.current((spec.name, None))) is not None:
            with limit_start(gateway.pool, spec, patience):
                await refresh.done.wait()
        if (state := gateway.registry.states[spec.name]).name is State.DOWN:
            raise ServerUnavailable(state.reason)

    def describe_progress(self) -> str:
        """Describe how many servers are ready, and which are starting."""
        states = dict(self.running.gateway.registry.states.items())
        waiting = [name for name, state in states.items() if state.name is State.STARTING]
        ready = sum(state.name is State.READY for state in states.values())
        return f"{ready} of {len(states)} servers ready; starting: {', '.join(waiting) or 'none'}"

    async def wait_for_servers(self, seconds: float = math.inf) -> None:
        """Wait until every server has been listed or has failed."""
        await self.running.gateway.discovery.wait_for_servers(min(seconds, self.patience))

    async def wait_for_name(self, name: str) -> None:
        """Wait until it is known where the name of a tool leads.

        Of a full name, its server is waited for when it is looked up. Any other can only be a tool of a server without
        a namespace; the rest are asked for suggestions, and have a moment for it; a shorter one once there is any.
        """
        if split_name(name) is not None:
            return
        registry = self.running.gateway.registry
        owners = {spec.name for spec in registry.specs.values() if spec.namespace is None}
        with anyio.move_on_after(self.patience if owners else SUGGESTION_SECONDS) as waiting:

            def stop_if_known(_: object = None) -> None:
                if registry.catalog.owner(name):
                    waiting.cancel()
                elif self._has_namesake(name, owners):
                    waiting.deadline = min(waiting.deadline, anyio.current_time() + NAMESAKE_SECONDS)

            registry.events.catalog_changed.subscribe(stop_if_known)
            stop_if_known()
            await self.wait_for_servers()

    def _has_namesake(self, name: str, owners: Collection[str]) -> bool:
        """Whether a tool of another full name can be suggested."""
        registry = self.running.gateway.registry
        is_settled = all(registry.states[owner].name is not State.STARTING for owner in owners)
        return is_settled and any(full.endswith(f"{SEPARATOR}{name}") for full in registry.catalog.full_names())

    @property
    def servers_down(self) -> list[str]:
        """Servers that could not be started or reached, by name."""
        return [name for name, state in self.running.gateway.registry.states.items() if state.name is State.DOWN]


def warn_if_no_servers(context: ControlContext) -> None:
    """Print configuration warnings to standard error if there are no servers.

    Of a file that nobody has written yet, there is nothing to warn.
    """
    is_written = context.environment.server_config.exists()
    if is_written and not context.servers.specs and not context.servers.disabled:
        for warning in context.servers.warnings:
            complain(f"warning: {warning}")


@asynccontextmanager
async def open_local_client(context: ControlContext, *, retries: bool = True) -> AsyncIterator[LocalClient]:
    """Open an in-process gateway with a client connected to it.

    Without `retries` a server that does not start is not tried again: enough for a look. An error of the block comes
    out as it is, and not in the groups of the tasks around it.
    """
    servers = context.servers if retries else _without_retries(context.servers)
    try:
        async with _open(context, servers) as client:
            yield client
    except ExceptionGroup as group:
        raise leaf_of(group) from group


def _without_retries(file: ServerFile) -> ServerFile:
    return replace(file, specs=tuple(replace(spec, max_retries=0) for spec in file.specs))


@asynccontextmanager
async def _open(context: ControlContext, servers: ServerFile) -> AsyncIterator[LocalClient]:
    limits = [spec.time_limits for spec in servers.specs]
    patience = max((limit.start.seconds + limit.list.seconds for limit in limits), default=0.0)
    async with open_gateway(context.settings, servers) as opened, anyio.create_task_group() as tasks:
        server = await opened.lazy_server.load()
        async with create_client_server_memory_streams() as (ours, theirs):
            tasks.start_soon(server.run, *theirs, server.create_initialization_options())
            router = _ProgressRouter()
            async with open_connection(_transport_of(ours), router, server="gateway") as connection:
                await negotiate(connection)
                yield LocalClient(opened, connection, router, patience)
        tasks.cancel_scope.cancel()


def _transport_of(streams: Any) -> Transport:
    @asynccontextmanager
    async def open_streams() -> AsyncIterator[Any]:
        yield streams

    return open_streams()


async def send_and_answer(send: Callable[[Json], Awaitable[Json]], params: Json, answer: AnswerFn | None) -> Json:
    """Send a request, and repeat it with answers.

    It is repeated while its result asks for some.
    """
    result = await send(params)
    for _ in range(_MAX_ROUNDS):
        if answer is None or result.get("resultType") != "input_required":
            return result
        result = await send({**params, **await _answer_all(result, answer)})
    return error_result(f"the server asked back {_MAX_ROUNDS} times without coming to a result")


async def _answer_all(result: Json, answer: AnswerFn) -> Json:
    """Answer a result's questions; return what the repeated request adds."""
    asked = result.get("inputRequests") or {}
    given = {key: await answer(str(one.get("method")), one.get("params") or {}) for key, one in asked.items()}
    state = {"requestState": result["requestState"]} if "requestState" in result else {}
    return {"inputResponses": {key: {"resultType": "complete", **value} for key, value in given.items()}, **state}


def describe_progress(params: Fields) -> str:
    """Return what a progress notification says, in one line."""
    done, total, message = (decode_member(params, name) for name in ("progress", "total", "message"))
    numbers = _format_number(done)
    numbers += f" of {_format_number(total)}" if numbers and _format_number(total) else ""
    return ": ".join(part for part in (numbers, message) if part and isinstance(part, str))


def _format_number(value: object) -> str:
    try:
        return f"{value:g}" if isinstance(value, int | float) else ""
    except OverflowError:  # a whole number of more than 308 digits
        return ""


def error_result(text: str) -> Json:
    """Return a result that is an error."""
    return {"isError": True, "content": [{"type": "text", "text": text}]}


def _error(error: MCPError) -> Json:
    return {"code": error.error.code, "message": error.error.message, "data": error.error.data}
