"""Refresh scheduler of listings.

A server is listed at start-up, when its listing is stale, and when it announces a change.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import anyio
import structlog
from anyio.abc import TaskGroup

from mcp_gateway.catalog.listing import Listing
from mcp_gateway.catalog.omissions import fill_in, why_tools_are_missing
from mcp_gateway.catalog.registry import Registry
from mcp_gateway.catalog.server_health import State
from mcp_gateway.client.errors import NoLongerConfigured
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.discovery.concurrency import ConcurrencyLimit
from mcp_gateway.discovery.list_server import NotListed
from mcp_gateway.discovery.loop_trace import LoopTracer, leave_out
from mcp_gateway.discovery.replicated_catalog import ReplicatedCatalog
from mcp_gateway.discovery.scheduler import Job, Reason, Refresh, RefreshScheduler
from mcp_gateway.loops.errors import GatewayLoop
from mcp_gateway.plugin import ANONYMOUS, AuthError, Caller, GatewayError, ServerUnavailable
from mcp_gateway.protocol.capabilities import widens
from mcp_gateway.protocol.client_channel import Json
from mcp_gateway.runtime.events import GatewayEvents
from mcp_gateway.sessions.admission import Overloaded
from mcp_gateway.sessions.circuit_breaker import CircuitOpen
from mcp_gateway.sessions.credentials import CredentialResolver, without_credentials
from mcp_gateway.sessions.pool import Pool
from mcp_gateway.sessions.session_key import SessionKey
from mcp_gateway.storage.listings import ListingVersion, identity

log = structlog.get_logger(__name__)

LIST_CHANGED = tuple(f"notifications/{name}/list_changed" for name in ("tools", "prompts", "resources"))
GREETING_SECONDS = 1.0
"""How long start-up waits for the first client, or for the transport, before it lists servers anyway."""


@dataclass(slots=True)
class Refresher:
    """Scheduler that refreshes the registry's listings in the background.

    Servers are refreshed independently of each other.

    Some servers list more for more capable clients, so they are listed with the capabilities of `host`, the most
    capable client so far. `waiting` is True until the first refresh has begun.
    """

    registry: Registry
    access: CredentialResolver
    pool: Pool
    shared: ReplicatedCatalog
    tasks: TaskGroup
    events: GatewayEvents
    loops: LoopTracer
    host: Caller = ANONYMOUS
    waiting: bool = False
    scheduler: RefreshScheduler = field(init=False)
    _pace: ConcurrencyLimit = field(init=False)

    def __post_init__(self) -> None:
        """Create the scheduler and the limit of concurrent refreshes."""
        self._pace = ConcurrencyLimit(self.tasks)
        self.scheduler = RefreshScheduler(self.tasks)

    def start(self, *, later: bool = False) -> None:
        """Start refreshing every server that has `auto_discover`.

        With `later`, they wait for the first client, or for clients to be able to connect, at most `GREETING_SECONDS`.
        """
        self.waiting = True
        self.events.replica_update.subscribe(self._on_replica_update)
        self.events.replica_gap.subscribe(self._on_replica_gap)
        self.shared.replicas.start()
        if later:
            self.tasks.start_soon(self._start_after_grace)
        else:
            self.refresh_all()

    def on_client_initialized(self, caller: Caller) -> None:
        """Handle a new client: remember its capabilities; begin to refresh."""
        if widens(caller.capabilities, self.host.capabilities):
            self.host = Caller(client=caller.client, capabilities=caller.capabilities)
        self.refresh_all()

    async def _start_after_grace(self) -> None:
        await anyio.sleep(GREETING_SECONDS)
        self.refresh_all()

    def refresh_all(self) -> None:
        """Begin the initial refresh, if it has not begun."""
        if not self.waiting:
            return
        self.waiting = False
        wanted = [spec for spec in self.registry.specs.values() if spec.auto_discover]
        for spec in random.sample(wanted, len(wanted)):  # spreads replicas that start together
            self._schedule(spec, self.host, Reason.DUE)

    def on_list_changed(self, key: SessionKey, method: str, _params: Json) -> None:
        """Handle a `list_changed` notification.

        The server's listing is refreshed.
        """
        if method in LIST_CHANGED and self.registry.is_current(key.spec):
            self._schedule(key.spec, self.host, Reason.CHANGED)

    def on_server_configured(self, spec: ServerSpec) -> None:
        """Handle a server that was added or changed at run time.

        Its listing is refreshed if it has `auto_discover`.
        """
        self.scheduler.forget((spec.name, None))
        self.shared.forget(spec.name)
        if spec.auto_discover and not self.waiting:
            self._schedule(spec, self.host, Reason.DUE)

    def refresh_stale(self, caller: Caller) -> None:
        """Schedule a refresh of stale, failed and extensible listings.

        A failed listing is due when its back-off is over; any listing is due if `caller` has more capabilities than
        the server was given for it.
        """
        self.on_client_initialized(caller)
        for spec in self.registry.specs.values():
            if not self.scheduler.is_running((spec.name, None)) and self._is_due(spec, caller):
                self._schedule(spec, caller, Reason.DUE)

    async def wait_for_servers(self, seconds: float, *, fresh: bool = True) -> None:
        """Wait for current refreshes, each up to `seconds` from its start.

        Unless `fresh`, a stale listing from storage is enough to stop waiting.
        """
        for run in list(self.scheduler.shared_runs()):
            with anyio.move_on_after(run.began + seconds - anyio.current_time()):
                await (run.done if fresh else run.found).wait()

    @property
    def running(self) -> bool:
        """Whether any discovery is under way."""
        return self.scheduler.has_runs(private=False)

    async def discover(self, spec: ServerSpec, caller: Caller, turn: str = "", *, trial: bool = False) -> Listing:
        """List a server without caller credentials; publish the listing.

        It is put into registry and storage, and announced to other replicas. A `trial` is let through even if the
        circuit is open. `turn` is the name of the lease under which it is listed.

        Raises:
            AuthError: credentials are missing, or the server rejected them.
            ServerUnavailable: the server is unreachable, or its response is invalid.

        """
        asker, number = self.listing_caller(spec, without_credentials(caller)), self.scheduler.next_number()
        try:
            listing = await self.access.with_credentials(
                spec, asker, lambda session_key: self.list_server(spec, session_key, asker.capabilities, trial=trial)
            )
        except AuthError as error:
            self._on_failure(spec, State.NEEDS_LOGIN, error)
            raise
        except (CircuitOpen, Overloaded):
            raise
        except GatewayLoop as error:
            leave_out(spec, error, self.registry, self.scheduler)
            raise
        except ServerUnavailable as error:
            partly = isinstance(error, NotListed) or spec.name in self.registry.catalog.servers
            self._on_failure(spec, State.DEGRADED if partly else State.DOWN, error)
            raise
        listing = fill_in(listing, self.registry.catalog.servers.get(spec.name))
        admitted = self.registry.admission.admit(await self.shared.pinning.admit(spec, listing))
        if not self.registry.is_current(spec):
            raise NoLongerConfigured(spec.name)
        if not self.scheduler.supersedes((spec.name, None), number):
            return admitted
        if why := why_tools_are_missing(listing):  # kept from storage and other replicas, which may have a whole one
            incomplete = NotListed(f"server {spec.name!r} did not list all of its tools: {why}")
            self.registry.put(admitted, State.DEGRADED, str(incomplete))
            self._on_failure(spec, State.DEGRADED, incomplete)
        else:
            self.scheduler.on_success((spec.name, None))
            await self.shared.publish(spec, listing, admitted, turn)
        return admitted

    def listing_caller(self, spec: ServerSpec, caller: Caller) -> Caller:
        """Return the caller in whose name a server is listed.

        It has the caller's credentials, and the widest capabilities of any client so far.
        """
        if spec.stateful or not widens(self.host.capabilities, caller.capabilities):
            return caller
        return replace(caller, client=None, capabilities=self.host.capabilities)

    async def list_server(
        self, spec: ServerSpec, session_key: SessionKey, capabilities: Mapping[str, Any], *, trial: bool = False
    ) -> Listing:
        """List a server for a session key, without publishing.

        `capabilities` are the client capabilities that the server is given.
        """
        try:
            return await self.loops.list_server(spec, session_key, capabilities, trial=trial)
        finally:
            self.events.server_asked.emit()

    def _is_due(self, spec: ServerSpec, caller: Caller) -> bool:
        match self.registry.states.discovery_state(spec.name):
            case State.READY:
                listing = self.registry.catalog.servers[spec.name]
                hears_more = widens(caller.capabilities, listing.client_capabilities)
                return hears_more or not self.shared.is_fresh(listing)
            case State.DOWN | State.DEGRADED | State.NEEDS_LOGIN | State.DISABLED:
                return not self.scheduler.is_paused((spec.name, None))
        return False

    def _schedule(self, spec: ServerSpec, caller: Caller, *reasons: Reason) -> None:
        job = Job(
            partial(self.registry.is_current, spec),
            partial(self._refresh, spec, caller),
            partial(self._on_start, spec),
        )
        self.scheduler.schedule((spec.name, None), job, *reasons)

    def _on_start(self, spec: ServerSpec, reason: Reason) -> None:
        if reason is not Reason.NEWS and spec.name not in self.registry.catalog.servers:
            self.registry.mark(spec.name, State.STARTING)

    async def _refresh(self, spec: ServerSpec, caller: Caller, reason: Reason, refresh: Refresh) -> None:
        """Refresh as the reason requires; avoid listing where storage suffices."""
        if reason is Reason.DUE:
            await self._refresh_due(spec, caller, refresh)
        elif reason is Reason.CHANGED or await self.shared.load_update(spec, self._capabilities_for(spec, caller)):
            await self._refresh_changed(spec, caller)

    async def _refresh_due(self, spec: ServerSpec, caller: Caller, refresh: Refresh) -> None:
        """Load a fresh listing from storage, or list the server.

        Only one replica at a time lists a server.
        """
        capabilities = self._capabilities_for(spec, caller)
        if await self.shared.load_fresh(spec, capabilities):
            return
        if spec.name in self.registry.catalog.servers:
            refresh.found.set()
        async with self._pace.slot(), self.shared.listing_lease(spec, capabilities) as turn:
            await self._discover(spec, caller, turn)

    async def _refresh_changed(self, spec: ServerSpec, caller: Caller) -> None:
        """List a changed server, unless another replica does so."""
        async with (
            self._pace.slot(),
            self.shared.lease_after_change(spec, self._capabilities_for(spec, caller)) as turn,
        ):
            await self._discover(spec, caller, turn)

    async def _discover(self, spec: ServerSpec, caller: Caller, turn: str | None) -> None:
        if turn is not None:
            with suppress(AuthError, ServerUnavailable):  # recorded in the registry and logged already
                listing = await self.discover(spec, caller, turn)
                log.info("discovered", server=spec.name, tools=len(listing.tools))

    def _capabilities_for(self, spec: ServerSpec, caller: Caller) -> Mapping[str, Any]:
        return self.listing_caller(spec, without_credentials(caller)).capabilities

    def _on_replica_update(self, server: str, stamp: ListingVersion) -> None:
        """Read a listing that another replica has saved, if newer."""
        spec = self.registry.specs.get(server.partition(":")[0])
        if spec is None or identity(spec) != server:
            return
        if self.scheduler.is_running((spec.name, None)) or not self.shared.confirm(
            spec, self._capabilities_for(spec, self.host), stamp
        ):
            self._schedule(spec, self.host, Reason.NEWS)

    def _on_replica_gap(self) -> None:
        """Handle a gap in replica updates by checking every server."""
        for spec in self.registry.specs.values():
            listing = self.registry.catalog.servers.get(spec.name)
            may_be_approved = listing is not None and listing.withheld  # pins that were unreadable may be readable now
            self._schedule(spec, self.host, Reason.NEWS, *((Reason.DUE,) if may_be_approved else ()))

    def _on_failure(self, spec: ServerSpec, state: State, error: GatewayError) -> None:
        if not self.registry.is_current(spec):
            return
        grows = state is not State.NEEDS_LOGIN  # a person may log in at any moment, so the delay stays short
        level = self.scheduler.failure_level((spec.name, None))
        seconds = self.scheduler.on_failure((spec.name, None), grows=grows)
        self.registry.mark(spec.name, state, str(error))
        log.log(level, "discovery failed", server=spec.name, reason=str(error), pause=round(seconds, 1))
