"""Use cases of the gateway: discover, search, call and others."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND

from mcp_gateway.catalog.registry import Registry
from mcp_gateway.catalog.resolver import Routing, UnknownPrompt, UnknownResource
from mcp_gateway.catalog.snapshot import Offer, is_repeatable
from mcp_gateway.config.servers import ServerSpec
from mcp_gateway.discovery.caller_views import Views
from mcp_gateway.discovery.refresher import Discovery
from mcp_gateway.gateway.era_bridge import Bridge
from mcp_gateway.gateway.login import with_login
from mcp_gateway.gateway.request import Request
from mcp_gateway.gateway.resource_subscriptions import Subscriptions, UpdatedFn
from mcp_gateway.gateway.tasks import Tasks
from mcp_gateway.plugin import Caller, GatewayError, Query
from mcp_gateway.protocol.client_channel import ALONE, Interaction, Json
from mcp_gateway.protocol.primitives import TOOLS
from mcp_gateway.search.indexes import Found, Search
from mcp_gateway.sessions.credentials import Access
from mcp_gateway.sessions.pool import Pool
from mcp_gateway.sessions.retry import Repetition
from mcp_gateway.sessions.session_key import Borrower

FoundT = TypeVar("FoundT")

log = structlog.get_logger(__name__)

SETTLE_SECONDS = 3.0
"""How long a search waits for servers that have just begun to start."""

SETTLE_EMPTY_SECONDS = 10.0
"""How long it waits if it would find nothing without them."""

_RECHECK_SECONDS = 2.0


class UnknownMethod(GatewayError):
    """A request is of a kind that no server here takes."""

    code = "unknown_method"


class ToolWithheld(GatewayError):
    """A call of a withheld tool.

    The tool's definition has changed without approval, or its name is reserved for another owner.
    """

    code = "tool_withheld"


@dataclass(frozen=True, slots=True)
class Gateway:
    """The use cases of the gateway."""

    registry: Registry
    routing: Routing
    discovery: Discovery
    views: Views
    finder: Search
    access: Access
    bridge: Bridge
    subscriptions: Subscriptions
    tasks: Tasks
    pool: Pool

    async def discover(self, server: str, caller: Caller) -> Offer:
        """Ask a server for its tools now, and remember them."""
        return await self.views.discover(self.routing.server(server), caller, trial=True)

    async def seen(self, caller: Caller, seconds: float | None = None, *, fresh: bool = True) -> Routing:
        """Return the resolver for a caller.

        With `seconds`, servers that are still starting are waited for at most that long.
        """
        if seconds is not None:
            self.discovery.freshen(caller)
            await self.discovery.settled(seconds, fresh=fresh)
        return self.routing.within((await self.views.see(caller, seconds)).catalogue)

    async def notes(self, caller: Caller) -> list[str]:
        """Return a line per unavailable server for a caller.

        It says why the server's tools may be missing.
        """
        return self.views.notes(await self.views.see(caller))

    async def search(self, query: Query, caller: Caller, ranker: str | None = None) -> Found:
        """Search the tools that a caller sees."""
        if self.discovery.running:
            self.finder.prepare(self.registry.catalogue, ranker)
        seen = await self.seen(caller, SETTLE_SECONDS, fresh=False)
        found = await self.finder.find(seen.catalogue, query, ranker)
        if not found.hits.total and (self.discovery.running or self.views.running):
            seen = await self.seen(caller, SETTLE_EMPTY_SECONDS)
            found = await self.finder.find(seen.catalogue, query, ranker)
        return found

    async def call(
        self,
        name: str,
        params: Json,
        caller: Caller,
        interaction: Interaction = ALONE,
        repetition: Repetition | None = None,
    ) -> Json:
        """Call a tool by its full name; return the unmodified result.

        `params` are those of `tools/call`, but for the name. `repetition` knows what was sent of the call before.
        """
        routing = await self.seen(caller)
        spec = routing.tool_server(name)

        async def send(request: Request) -> Json:
            offer, tool = await self._known(spec, name, caller, routing)
            repeatable = is_repeatable(offer.by_name.get(tool, {}))
            params = {**request.params, "name": tool}
            own = Request(request.method, params, offer.mirrored.get(tool), repeatable, repetition)
            return await _logged(name, self._carried(spec, own, caller, interaction))

        request = Request("tools/call", params)
        return await with_login(self.access, spec, request, send, caller=caller, interaction=interaction)

    async def get_prompt(self, name: str, params: Json, caller: Caller, interaction: Interaction = ALONE) -> Json:
        """Get a prompt by its full name.

        `params` are those of `prompts/get`, except the name.
        """
        spec, definition = await self._routed(lambda routing: routing.prompt(name), caller)
        request = Request("prompts/get", {**params, "name": definition["name"]}, repeatable=True)
        return await self._send(spec, request, caller, interaction)

    async def read(self, uri: str, params: Json, caller: Caller, interaction: Interaction = ALONE) -> Json:
        """Read a resource from the server that lists or templates it.

        A server that lists the resource goes before one whose template matches.
        """
        request = Request("resources/read", {**params, "uri": uri}, repeatable=True)
        spec = await self._routed(lambda routing: routing.resource_server(uri), caller)
        return await self._send(spec, request, caller, interaction)

    async def subscribe(self, subscriber: str, uri: str, caller: Caller, updated: UpdatedFn) -> None:
        """Subscribe to updates of a resource.

        `updated` is called at each update until the subscriber unsubscribes or is forgotten.
        """
        spec = await self._routed(lambda routing: routing.resource_server(uri), caller)
        borrower = await self.access.borrower(spec, caller)
        try:
            await self.subscriptions.add(subscriber, borrower, uri, updated)
        except MCPError as error:
            if error.code != METHOD_NOT_FOUND:
                raise
            raise MCPError(
                INVALID_PARAMS, f"server {spec.name!r} does not announce changes of the resource {uri!r}"
            ) from None

    async def complete(self, params: Json, caller: Caller) -> Json:
        """Complete an argument of a prompt or of a resource template."""
        reference = params.get("ref")
        described = dict(reference) if isinstance(reference, dict) else {}
        if described.get("type") == "ref/prompt":
            prompt = str(described.get("name"))
            spec, definition = await self._routed(lambda routing: routing.prompt(prompt), caller)
            described["name"] = definition["name"]
        else:
            uri = str(described.get("uri"))
            spec = await self._routed(lambda routing: routing.resource_server(uri), caller)
        request = Request("completion/complete", {**params, "ref": described}, repeatable=True)
        try:
            return await self._send(spec, request, caller)
        except MCPError as error:
            offer = await self.views.offer(spec, caller)
            if error.code != METHOD_NOT_FOUND or offer is None or "completions" in offer.capabilities:
                raise
            return {"completion": {"values": [], "total": 0, "hasMore": False}}  # the gateway does complete

    async def forward(self, method: str, params: Json, caller: Caller, interaction: Interaction = ALONE) -> Json:
        """Forward a request the gateway does not interpret.

        It is about a task, or for the only server, which clients see as if there were no gateway.

        Raises:
            UnknownMethod: there is no server that it could be for.

        """
        request = Request(method, params)
        if (spec := self.routing.transparent) is not None:
            return await self._send(spec, request, caller, interaction)
        if method.startswith("tasks/"):
            seen = (await self.seen(caller)).catalogue

            async def send(server: ServerSpec) -> Json:
                return await self._send(server, request, caller, interaction)

            return await self.tasks.forward(request, seen, send, caller.principal)
        raise UnknownMethod(self._nobody_takes(method))

    def _nobody_takes(self, method: str) -> str:
        """Say why a request goes nowhere: a client may have been told that it would, before other servers came."""
        names = [repr(name) for name in self.registry.specs]
        here = f"{', '.join(names[:5])} and {len(names) - 5} more" if len(names) > 5 else ", ".join(names) or "none"  # noqa: PLR2004
        return (
            f"no server here takes {method!r}: what the gateway itself does not know it passes on only while one "
            f'server stands alone behind it, with "namespace": null and "expose_tools": true; servers now: {here}'
        )

    async def _send(self, spec: ServerSpec, request: Request, caller: Caller, interaction: Interaction = ALONE) -> Json:
        """Send a request with the caller's credentials, with login if required.

        Returns the server's result.
        """

        async def send(request: Request) -> Json:
            return await self._carried(spec, request, caller, interaction)

        return await with_login(self.access, spec, request, send, caller=caller, interaction=interaction)

    async def _carried(self, spec: ServerSpec, request: Request, caller: Caller, interaction: Interaction) -> Json:
        """Send a request with credentials, refreshing them once if rejected."""
        repetition = request.repetition or Repetition(spec, request.repeatable)
        request = replace(request, repetition=repetition)

        async def carry(borrower: Borrower) -> Json:
            return await self.bridge.carry(borrower, request, caller, interaction)

        result = await self.access.attempt(spec, caller, carry, repetition)
        if request.method == "tools/call":
            self.tasks.note(spec.name, result, caller.principal)
        return result

    async def _routed(self, find: Callable[[Routing], FoundT], caller: Caller) -> FoundT:
        """Resolve a name or URI; if unknown, await starting servers."""
        try:
            return find(await self.seen(caller))
        except (UnknownPrompt, UnknownResource):
            return find(await self.seen(caller, SETTLE_EMPTY_SECONDS))

    async def _known(self, spec: ServerSpec, name: str, caller: Caller, routing: Routing) -> tuple[Offer, str]:
        """Return the server's listing and the tool's unqualified name.

        The server is listed again if the tool is missing from a listing that is not recent.
        """
        tools = await self.views.offer(spec, caller)
        tool = tools.own_name(name) if tools else None
        if tools is None or (tool is None and tools.age > _RECHECK_SECONDS):
            tools = await self.views.discover(spec, caller)
            tool = tools.own_name(name)
        if (why := tools.why_withheld(name)) is not None:
            raise ToolWithheld(f"the tool {name!r} is withheld: {why}")
        if tool is None and (why := tools.why_refused(TOOLS.name, name)) is not None:
            raise ToolWithheld(f"server {spec.name!r}: {why}")
        if tool is None and self.routing.transparent is not None and not tools.modern:
            return tools, name  # a modern server's tool may be missing because it must not be called
        if tool is None:
            raise routing.no_such_tool(name, tools)
        return tools, tool


async def _logged(name: str, called: Awaitable[Json]) -> Json:
    """Log the outcome of a call.

    Failures are logged as info, other outcomes as debug.
    """
    began, failed = time.perf_counter(), True
    try:
        result = await called
        failed = result.get("isError") is True
        return result
    finally:
        tell = log.info if failed else log.debug
        tell("call failed" if failed else "called", tool=name, seconds=round(time.perf_counter() - began, 3))
