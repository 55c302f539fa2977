"""Use cases of the gateway: discover, search, call and others."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import structlog
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND

from mcp_gateway.catalog.listing import Listing
from mcp_gateway.catalog.registry import Registry
from mcp_gateway.catalog.resolver import Resolver, UnknownPrompt, UnknownResource
from mcp_gateway.client.errors import CredentialsRejected
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.discovery.caller_views import CallerRefresher
from mcp_gateway.discovery.loop_trace import LoopTracer
from mcp_gateway.discovery.refresher import Refresher
from mcp_gateway.gateway.compiled_catalog import METHOD, CatalogCompiler, Route, route_of
from mcp_gateway.gateway.era_bridge import EraBridge
from mcp_gateway.gateway.errors import UnknownMethod
from mcp_gateway.gateway.find_tool import find_tool
from mcp_gateway.gateway.login import with_login
from mcp_gateway.gateway.request import Request
from mcp_gateway.gateway.resource_subscriptions import Subscriptions, UpdatedFn
from mcp_gateway.gateway.tasks import Tasks
from mcp_gateway.plugin import Caller, Query
from mcp_gateway.protocol.client_channel import ALONE, ClientChannel
from mcp_gateway.protocol.raw_json import NO_MEMBERS, Fields, decode_member, encode_raw
from mcp_gateway.runtime.events import GatewayEvents
from mcp_gateway.search.indexes import Search, SearchResult
from mcp_gateway.sessions.credentials import CredentialResolver
from mcp_gateway.sessions.pool import Pool
from mcp_gateway.sessions.retry import RetryPolicy
from mcp_gateway.sessions.session_key import SessionKey

FoundT = TypeVar("FoundT")

log = structlog.get_logger(__name__)
_logger = logging.getLogger(__name__)

SETTLE_SECONDS = 3.0
"""How long a search waits for servers that are still starting."""

SETTLE_EMPTY_SECONDS = 10.0
"""How long it waits if there is nothing to search without them."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """The use cases of the gateway."""

    registry: Registry
    resolver: Resolver
    discovery: Refresher
    views: CallerRefresher
    finder: Search
    access: CredentialResolver
    bridge: EraBridge
    subscriptions: Subscriptions
    tasks: Tasks
    pool: Pool
    events: GatewayEvents
    compiler: CatalogCompiler
    loops: LoopTracer

    async def discover(self, server: str, caller: Caller) -> Listing:
        """List a server now, for a caller; return its listing."""
        return await self.views.discover(self.resolver.server(server), caller, trial=True)

    async def resolver_for(self, caller: Caller, seconds: float | None = None) -> Resolver:
        """Return the resolver for a caller.

        With `seconds`, it waits at most that long for servers that are still starting.
        """
        view = self.views.view_of(caller) if seconds is None else self.views.wait_and_view(caller, seconds)
        return self.resolver.within((await view).catalog)

    async def notes(self, caller: Caller) -> list[str]:
        """Return a line per unavailable server for a caller.

        It says why the server's tools may be missing.
        """
        return self.views.notes(await self.views.view_of(caller))

    async def search(self, query: Query, caller: Caller, ranker: str | None = None) -> SearchResult:
        """Search the tools that a caller sees."""
        # Building an index takes time, so it begins with the available listings while waiting for the others.
        if self.discovery.running:
            self.finder.prepare(self.registry.catalog, ranker)
        for seconds, fresh in ((SETTLE_SECONDS, False), (SETTLE_EMPTY_SECONDS, True)):
            view = await self.views.wait_and_view(caller, seconds, fresh=fresh)
            # Before the search: meanwhile a server may become ready, whose tools are not found.
            may_grow, notes = self.views.running, self.views.notes(view)
            found = replace(await self.finder.find(view.catalog, query, ranker), notes=notes)
            if found.hits.total or not may_grow:
                break
        return found

    async def call(
        self, name: str, params: Fields, caller: Caller, channel: ClientChannel = ALONE, *, meta: Fields = NO_MEMBERS
    ) -> Fields:
        """Call a tool by its full name; return its result's members.

        `params` are those of `tools/call` without `_meta`, `meta` is what of it is passed on.
        """
        began = time.perf_counter()
        try:
            route = self.compiler.current().known_route(name)
            if route is None or self.access.may_have_private(route.spec, caller):
                result = await self._find_and_call(name, Request(METHOD, params, meta), caller, channel)
            else:
                result = await self._send(route.spec, route.request(params, meta), caller, channel)
        except BaseException:
            self._record_failure(name, began)
            raise
        if bytes(result.get("isError", b"")) == b"true":
            self._record_failure(name, began)
        elif _logger.isEnabledFor(logging.DEBUG):  # a tenth of the cost of what structlog makes of a call
            log.debug("call succeeded", tool=name, seconds=round(time.perf_counter() - began, 3))
        return result

    def _record_failure(self, name: str, began: float) -> None:
        self.pool.load.failed += 1
        log.info("call failed", tool=name, seconds=round(time.perf_counter() - began, 3))

    def _find_and_call(self, name: str, request: Request, caller: Caller, channel: ClientChannel) -> Awaitable[Fields]:
        """Call a tool whose route is not known yet, or not shared."""
        access, compiled = self.access, self.compiler.current()
        owner = compiled.prefix_owner(name)
        if owner is not None and access.may_have_private(owner, caller):
            send = partial(self._call_listed, owner, name, caller, channel)
            return with_login(access, owner, request, send, caller=caller, channel=channel)
        route = compiled.route(name)
        if route is None or access.may_have_private(route.spec, caller):
            return self._call_unlisted(name, request, caller, channel)
        return self._send(route.spec, route.request(request.params, request.meta), caller, channel)

    async def _call_unlisted(self, name: str, request: Request, caller: Caller, channel: ClientChannel) -> Fields:
        spec = (await self.resolver_for(caller)).tool_server(name)
        send = partial(self._call_found, None, name, caller, channel)
        return await with_login(self.access, spec, request, send, caller=caller, channel=channel)

    async def _call_listed(
        self, owner: ServerSpec, name: str, caller: Caller, channel: ClientChannel, request: Request
    ) -> Fields:
        """Call a tool as listed for the caller's own credentials."""
        session_key = await self.access.session_key(owner, caller)
        route = self._route_for(session_key, name)
        if route is None:
            return await self._call_found(session_key, name, caller, channel, request)
        call = route.request(request.params, request.meta)
        return await self._send_with_credentials(route.spec, call, caller, channel, session_key)

    async def _call_found(
        self, session_key: SessionKey | None, name: str, caller: Caller, channel: ClientChannel, request: Request
    ) -> Fields:
        """Call a tool after looking for its server.

        `session_key` is of the server that its name begins with.
        """
        seen = await self.resolver_for(caller)
        server = seen.tool_server(name)
        if session_key is not None and session_key.spec is not server:
            session_key = None
        found = await find_tool(self.views, server, name, caller, seen=seen, common=self.resolver)
        call = route_of(server, *found).request(request.params, request.meta)
        return await self._send_with_credentials(server, call, caller, channel, session_key)

    def _route_for(self, session_key: SessionKey, name: str) -> Route | None:
        """Return a tool's route as listed for certain credentials."""
        spec, compiled = session_key.spec, self.compiler.current()
        listing = self.views.personal.listing(spec.name, session_key.credentials)
        route = compiled.route(name) if listing is None else compiled.route_within(spec, listing, name)
        return route if route is not None and route.spec is spec else None

    async def get_prompt(
        self, name: str, params: Fields, caller: Caller, channel: ClientChannel = ALONE, *, meta: Fields = NO_MEMBERS
    ) -> Fields:
        """Get a prompt by its full name."""
        spec, definition = await self._resolve(lambda resolver: resolver.prompt(name), caller)
        request = Request("prompts/get", {**params, "name": encode_raw(definition["name"])}, meta, repeatable=True)
        return await self._send(spec, request, caller, channel)

    async def read(
        self, uri: str, params: Fields, caller: Caller, channel: ClientChannel = ALONE, *, meta: Fields = NO_MEMBERS
    ) -> Fields:
        """Read a resource from the server that lists or templates it.

        A server that lists the resource goes before one whose template matches.
        """
        request = Request("resources/read", params, meta, repeatable=True)
        spec = await self._resolve(lambda resolver: resolver.resource_server(uri), caller)
        return await self._send(spec, request, caller, channel)

    async def subscribe(self, subscriber: str, uri: str, caller: Caller, updated: UpdatedFn) -> None:
        """Subscribe to updates of a resource.

        `updated` is called at each update until the subscriber unsubscribes or is forgotten.
        """
        spec = await self._resolve(lambda resolver: resolver.resource_server(uri), caller)
        session_key = await self.access.session_key(spec, caller)
        try:
            await self.subscriptions.add(subscriber, session_key, uri, updated)
        except MCPError as error:
            if error.code != METHOD_NOT_FOUND:
                raise
            # "Method not found" would mean that the gateway does not support the method at all.
            raise MCPError(
                INVALID_PARAMS, f"server {spec.name!r} does not announce changes of the resource {uri!r}"
            ) from None

    async def complete(self, params: Fields, caller: Caller, *, meta: Fields = NO_MEMBERS) -> Fields:
        """Complete an argument of a prompt or of a resource template."""
        reference = decode_member(params, "ref")
        described = dict(reference) if isinstance(reference, dict) else {}
        if described.get("type") == "ref/prompt":
            prompt = str(described.get("name"))
            spec, definition = await self._resolve(lambda resolver: resolver.prompt(prompt), caller)
            described["name"] = definition["name"]
        else:
            uri = str(described.get("uri"))
            spec = await self._resolve(lambda resolver: resolver.resource_server(uri), caller)
        request = Request("completion/complete", {**params, "ref": encode_raw(described)}, meta, repeatable=True)
        try:
            return await self._send(spec, request, caller)
        except MCPError as error:
            listing = await self.views.listing_of(spec, caller)
            if error.code != METHOD_NOT_FOUND or listing is None or "completions" in listing.capabilities:
                raise
            return {"completion": encode_raw({"values": [], "total": 0, "hasMore": False})}  # declared by the gateway

    async def forward(
        self, method: str, params: Fields, caller: Caller, channel: ClientChannel = ALONE, *, meta: Fields = NO_MEMBERS
    ) -> Fields:
        """Forward a request the gateway does not interpret.

        It concerns a task, or goes to the transparent server.

        Raises:
            UnknownMethod: there is neither a task nor a transparent server to send it to.

        """
        request = Request(method, params, meta)
        if (spec := self.resolver.transparent) is not None:
            return await self._send(spec, request, caller, channel)
        if method.startswith("tasks/"):
            seen = (await self.resolver_for(caller)).catalog

            async def send(server: ServerSpec) -> Fields:
                return await self._send(server, request, caller, channel)

            return await self.tasks.forward(request, seen, send, caller.principal)
        raise UnknownMethod(method, list(self.registry.specs))

    def _send(
        self, spec: ServerSpec, request: Request, caller: Caller, channel: ClientChannel = ALONE
    ) -> Awaitable[Fields]:
        """Send a request with the caller's credentials, with login if required."""
        # Only auth plugins can demand a login.
        if spec.name not in self.access.strategies:
            return self._send_with_credentials(spec, request, caller, channel)
        send = partial(self._send_with_credentials, spec, caller=caller, channel=channel)
        return with_login(self.access, spec, request, send, caller=caller, channel=channel)

    async def _send_with_credentials(
        self,
        spec: ServerSpec,
        request: Request,
        caller: Caller,
        channel: ClientChannel,
        session_key: SessionKey | None = None,
    ) -> Fields:
        """Send a request with credentials, refreshing them once if rejected.

        `session_key` is the caller's, if it is known already.
        """
        access, retry = self.access, RetryPolicy(spec, repeatable=request.repeatable)
        if session_key is None:
            session_key = access.session_key_nowait(spec, caller) or await access.session_key_of_strategy(spec, caller)
        try:
            result = await self.bridge.send(session_key, request, caller, channel, retry)
        except CredentialsRejected as error:
            session_key = await access.renew(session_key, caller, error, retry)
            result = await self.bridge.send(session_key, request, caller, channel, retry)
        if "task" in result or bytes(result.get("resultType", b"")) == b'"task"':
            self.tasks.register(spec.name, result, caller.principal)
        return result

    async def _resolve(self, find: Callable[[Resolver], FoundT], caller: Caller) -> FoundT:
        """Resolve a name or URI; if unknown, await starting servers."""
        try:
            return find(await self.resolver_for(caller))
        except (UnknownPrompt, UnknownResource):
            return find(await self.resolver_for(caller, SETTLE_EMPTY_SECONDS))
