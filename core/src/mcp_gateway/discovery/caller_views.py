"""Catalogs of callers with private credentials, refreshed per caller."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import anyio
import structlog

from mcp_gateway.catalog.listing import Listing
from mcp_gateway.catalog.omissions import fill_in, why_tools_are_missing
from mcp_gateway.catalog.overlays import CallerCatalog, Key, OverlayEntry, Overlays
from mcp_gateway.catalog.registry import Registry
from mcp_gateway.catalog.server_health import ServerState, State
from mcp_gateway.client.errors import NoLongerConfigured
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.config.time_limits import TimeLimit
from mcp_gateway.discovery.list_server import NotListed
from mcp_gateway.discovery.refresher import LIST_CHANGED, Refresher
from mcp_gateway.discovery.scheduler import Job, Reason, Refresh
from mcp_gateway.discovery.start_limit import limit_start
from mcp_gateway.plugin import AuthError, Caller, GatewayError, ServerUnavailable
from mcp_gateway.protocol.capabilities import decode_capabilities
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.runtime.events import GatewayEvents
from mcp_gateway.sessions.circuit_breaker import CircuitOpen
from mcp_gateway.sessions.credentials import CredentialResolver
from mcp_gateway.sessions.session_key import SessionKey

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ListingRequest:
    """A listing to fetch for a caller.

    `key` is the overlay key for the result, `session_key` the session to use.
    """

    spec: ServerSpec
    key: Key
    session_key: SessionKey
    capabilities: Mapping[str, Any]


@dataclass(slots=True)
class CallerRefresher:
    """Scheduler that refreshes the overlays of callers.

    Callers never wait for refreshes of other callers.
    """

    registry: Registry
    access: CredentialResolver
    discovery: Refresher
    personal: Overlays
    events: GatewayEvents

    async def view_of(self, caller: Caller, inactivity: float | None = None) -> CallerCatalog:
        """Return a caller's catalog; with `inactivity`, refresh due listings first.

        `inactivity` is the number of seconds to wait for the refreshes. An `auth_header` belongs to a single call of
        one server, so it does not influence the catalog.
        """
        asker = caller if caller.auth_header is None else replace(caller, auth_header=None)
        keys, runs = dict[str, Key](), list[anyio.Event]()
        for spec in self.registry.specs.values():
            credentials = await self.access.private_credentials(spec, asker)
            if credentials is None:
                continue
            keys[spec.name] = key = self.personal.key(spec.name, credentials)
            if inactivity is not None and (done := await self._refresh_if_due(spec, key, asker)) is not None:
                runs.append(done)
        if runs and inactivity:
            with anyio.move_on_after(inactivity):
                for done in runs:
                    await done.wait()
        return self.personal.view(keys)

    async def wait_and_view(self, caller: Caller, seconds: float, *, fresh: bool = True) -> CallerCatalog:
        """Wait up to `seconds` for servers; return a caller's catalog.

        Stale listings are refreshed; unless `fresh`, those from storage are enough.
        """
        self.discovery.refresh_stale(caller)
        await self.discovery.wait_for_servers(seconds, fresh=fresh)
        return await self.view_of(caller, seconds)

    @property
    def running(self) -> bool:
        """Whether any refresh is in progress, common or for a caller."""
        return self.discovery.running or self.discovery.scheduler.has_runs(private=True)

    def notes(self, view: CallerCatalog) -> list[str]:
        """Return a line per unavailable server, as a caller sees them."""
        return self.registry.notes(view.states, view.catalog)

    async def listing_of(self, spec: ServerSpec, caller: Caller) -> Listing | None:
        """Return a server's listing for a caller, if known.

        Here the `auth_header` of the call does count.
        """
        credentials = await self.access.private_credentials(spec, caller)
        personal = None if credentials is None else self.personal.listing(spec.name, credentials)
        return personal or self.registry.catalog.servers.get(spec.name)

    async def discover(
        self, spec: ServerSpec, caller: Caller, *, trial: bool = False, patience: TimeLimit | None = None
    ) -> Listing:
        """List a server for a caller now.

        A `trial` is let through even if the circuit is open. `patience` limits the wait for a server that starts.

        Raises:
            StillStarting: that takes longer.
            AuthError: credentials are missing, or the server rejected them.
            ServerUnavailable: the server is unreachable, or its response is invalid.

        """
        asker = self.discovery.listing_caller(spec, caller)
        await self.access.session_key(spec, asker)  # raises if the caller's credentials are unusable
        if await self.access.private_credentials(spec, caller) is None:
            with limit_start(self.discovery.pool, spec, patience):
                return await self.discovery.discover(spec, caller, trial=trial)

        async def ask(session_key: SessionKey) -> Listing:
            key = self.personal.key(spec.name, session_key.credentials)
            return await self._ask(ListingRequest(spec, key, session_key, asker.capabilities), trial=trial)

        with limit_start(self.discovery.pool, spec, patience):
            return await self.access.with_credentials(spec, asker, ask)

    def on_list_changed(self, key: SessionKey, method: str, params: Json) -> None:
        """Handle a `list_changed` notification for the session's credentials.

        Listings for other credentials are not refreshed.
        """
        overlay_key = self.personal.key(key.spec.name, key.credentials)
        if self.personal.has(overlay_key) and method in LIST_CHANGED:
            self.personal.entry(overlay_key)  # marks it as used
            self._schedule(
                ListingRequest(key.spec, overlay_key, key, decode_capabilities(key.capabilities)), Reason.CHANGED
            )
        else:
            self.discovery.on_list_changed(key, method, params)

    def forget_client(self, client: str) -> None:
        """Remove a client that has left."""
        self.personal.forget_client(client)

    async def _refresh_if_due(self, spec: ServerSpec, key: Key, caller: Caller) -> anyio.Event | None:
        """Start a due refresh; return its completion event, if any.

        The event of a refresh that is already running is returned, too.
        """
        if not spec.auto_discover and not self.personal.has(key):
            return None
        held = self.personal.entry(key)
        if caller.client is not None:
            held.clients.add(caller.client)
        scheduler = self.discovery.scheduler
        if not scheduler.is_running(key) and self._is_due(key, held):
            asker = self.discovery.listing_caller(spec, caller)
            try:
                session_key = await self.access.session_key(spec, asker)
            except GatewayError:
                return None
            self._schedule(ListingRequest(spec, key, session_key, asker.capabilities), Reason.DUE)
        run = scheduler.current(key)
        return None if run is None else run.done

    def _is_due(self, key: Key, held: OverlayEntry) -> bool:
        if held.state.name is State.READY and held.listing is not None:
            return not self.discovery.shared.is_fresh(replace(held.listing, fetched=held.fetched))
        return not self.discovery.scheduler.is_paused(key)

    def _schedule(self, request: ListingRequest, reason: Reason) -> None:
        job = Job(partial(self.registry.is_current, request.spec), partial(self._refresh, request))
        self.discovery.scheduler.schedule(request.key, job, reason)

    async def _refresh(self, request: ListingRequest, _reason: Reason, _run: Refresh) -> None:
        """List the server; callers' listings are never in storage."""
        with suppress(AuthError, ServerUnavailable):  # recorded and logged already
            await self._ask(request)

    async def _ask(self, request: ListingRequest, *, trial: bool = False) -> Listing:
        number = self.discovery.scheduler.next_number()
        try:
            listing = await self.discovery.list_server(
                request.spec, request.session_key, request.capabilities, trial=trial
            )
        except CircuitOpen:
            raise
        except (AuthError, ServerUnavailable) as error:
            if self.registry.is_current(request.spec):
                self._on_failure(request, error)
            raise
        if not self.registry.is_current(request.spec):
            raise NoLongerConfigured(request.spec.name)
        listing = fill_in(listing, self.personal.listing(request.spec.name, request.session_key.credentials))
        listing = self.registry.admission.admit(
            await self.discovery.shared.pinning.admit(request.spec, listing, personal=True)
        )
        if not self.discovery.scheduler.supersedes(request.key, number):
            return listing
        before = self.personal.put(request.key, listing)
        if why := why_tools_are_missing(listing):
            reason = f"server {listing.server!r} did not list all of its tools: {why}"
            self._on_failure(request, NotListed(reason))
        else:
            self.discovery.scheduler.on_success(request.key)
        if before != listing:
            clients = frozenset(self.personal.entry(request.key).clients)
            log.info("discovered for caller", server=listing.server, tools=len(listing.tools))
            self.events.caller_catalog_changed.emit(listing.server, before, listing, clients)
        return listing

    def _on_failure(self, request: ListingRequest, error: GatewayError) -> None:
        held = self.personal.entry(request.key)
        level = self.discovery.scheduler.failure_level(request.key)
        pause = self.discovery.scheduler.on_failure(request.key)
        reached = State.DEGRADED if held.listing is not None or isinstance(error, NotListed) else State.DOWN
        held.state = ServerState(State.NEEDS_LOGIN if isinstance(error, AuthError) else reached, str(error))
        log.log(
            level, "discovery for caller failed", server=request.spec.name, reason=str(error), pause=round(pause, 1)
        )
