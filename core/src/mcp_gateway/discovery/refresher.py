"""Refresh scheduler of listings.

A server is listed at start-up, when its listing is stale, and when it announces a change.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import structlog
from anyio.abc import TaskGroup

from mcp_gateway.catalog.registry import Registry
from mcp_gateway.catalog.server_health import State, failure_backoff, quiet_backoff
from mcp_gateway.catalog.snapshot import Listing
from mcp_gateway.client.errors import NoLongerConfigured
from mcp_gateway.config.servers import ServerSpec
from mcp_gateway.discovery.concurrency import ConcurrencyLimit
from mcp_gateway.discovery.list_server import NotListed, list_server
from mcp_gateway.discovery.replicated_catalog import ReplicatedCatalog
from mcp_gateway.plugin import ANONYMOUS, AuthError, Caller, GatewayError, ServerUnavailable
from mcp_gateway.protocol.client_channel import Json, widens
from mcp_gateway.runtime.backoff import Backoff
from mcp_gateway.sessions.admission import Overloaded
from mcp_gateway.sessions.circuit_breaker import CircuitOpen
from mcp_gateway.sessions.credentials import CredentialResolver, without_credentials
from mcp_gateway.sessions.pool import Pool
from mcp_gateway.sessions.session_key import SessionKey
from mcp_gateway.storage.listings import ListingVersion, identity

log = structlog.get_logger(__name__)

LIST_CHANGED = tuple(f"notifications/{name}/list_changed" for name in ("tools", "prompts", "resources"))
GREETING_SECONDS = 1.0
"""How long a client may take to initialize, or a transport to be ready, before servers are asked all the same."""


@dataclass(slots=True)
class _Refresh:
    """A refresh of one server in progress, with its reasons.

    It is due, the server has announced a change, or another replica has saved a new listing.

    `began` is on the event loop's clock; `found` is set when there is something to go on with.
    """

    began: float
    caller: Caller
    due: bool = False
    changed: bool = False
    news: bool = False
    found: anyio.Event = field(default_factory=anyio.Event)
    done: anyio.Event = field(default_factory=anyio.Event)


@dataclass(slots=True)
class _Pause:
    """A back-off interval of a server.

    It grows with each repetition; `until` is when the next event no longer counts as one.
    """

    backoff: Backoff
    seconds: float = 0.0
    until: float = 0.0


@dataclass(slots=True)
class Refresher:
    """Scheduler that refreshes the registry's listings in the background.

    Servers are refreshed independently of each other.

    Some servers offer more to clients that can do more. They are asked as `host`, the most
    capable client so far. `on_asked` hears that a server has said what it offers, or has failed to.
    """

    registry: Registry
    access: CredentialResolver
    pool: Pool
    shared: ReplicatedCatalog
    tasks: TaskGroup
    host: Caller = ANONYMOUS
    waiting: bool = False
    on_asked: Callable[[], None] = lambda: None
    _runs: dict[str, _Refresh] = field(default_factory=dict)
    _pauses: dict[str, _Pause] = field(default_factory=dict)
    _quiet: dict[str, _Pause] = field(default_factory=dict)
    _pace: ConcurrencyLimit = field(init=False)

    def __post_init__(self) -> None:
        """Ask a few at a time."""
        self._pace = ConcurrencyLimit(self.tasks)

    def start(self, *, later: bool = False) -> None:
        """Start refreshing every server that has `auto_discover`.

        With `later`, the refreshes wait for the first client, or for clients to be able to connect, but at
        most `GREETING_SECONDS`.
        """
        self.waiting = True
        self.shared.replicas.on_news.append(self._on_replica_update)
        self.shared.replicas.on_gap.append(self._on_replica_gap)
        self.shared.replicas.start()
        if later:
            self.tasks.start_soon(self._start_after_grace)
        else:
            self.refresh_all()

    def on_client_initialized(self, caller: Caller) -> None:
        """Take note of what a client can do."""
        if widens(caller.capabilities, self.host.capabilities):
            self.host = Caller(client=caller.client, capabilities=caller.capabilities)
        self.refresh_all()

    async def _start_after_grace(self) -> None:
        await anyio.sleep(GREETING_SECONDS)
        self.refresh_all()

    def refresh_all(self) -> None:
        """Begin now what was to begin later."""
        if not self.waiting:
            return
        self.waiting = False
        wanted = [spec for spec in self.registry.specs.values() if spec.auto_discover]
        for spec in random.sample(wanted, len(wanted)):  # replicas that start together begin with different ones
            self._schedule(spec, self.host).due = True

    def on_list_changed(self, key: SessionKey, method: str, _params: Json) -> None:
        """Handle a `list_changed` notification.

        The server's listing is refreshed.
        """
        if method in LIST_CHANGED and self.registry.is_current(key.spec):
            self._schedule(key.spec, self.host).changed = True

    def on_server_configured(self, spec: ServerSpec) -> None:
        """Handle a server that was added or changed at run time.

        Its listing is refreshed if it has `auto_discover`.
        """
        for of_before in (self._runs, self._pauses, self._quiet):
            of_before.pop(spec.name, None)
        self.shared.forget(spec.name)
        if spec.auto_discover and not self.waiting:
            self._schedule(spec, self.host).due = True

    def refresh_stale(self, caller: Caller) -> None:
        """Schedule a refresh of stale, failed and extensible listings.

        A failed listing is due once its back-off is over, and any listing is due if `caller` has more
        capabilities than it was made for.
        """
        self.on_client_initialized(caller)
        for spec in self.registry.specs.values():
            if spec.name not in self._runs and self._is_due(spec, caller):
                self._schedule(spec, caller).due = True

    async def wait_for_servers(self, seconds: float, *, fresh: bool = True) -> None:
        """Wait for current refreshes, each up to `seconds` from its start.

        Unless it must be `fresh`, what a start finds in storage will do, however old.
        """
        for run in list(self._runs.values()):
            with anyio.move_on_after(run.began + seconds - anyio.current_time()):
                await (run.done if fresh else run.found).wait()

    @property
    def running(self) -> bool:
        """Whether any discovery is under way."""
        return bool(self._runs)

    async def discover(self, spec: ServerSpec, caller: Caller, turn: str = "", *, trial: bool = False) -> Listing:
        """List a server without caller credentials; publish the listing.

        It goes into registry and storage, and so to other replicas.

        A `trial` asks even a server that is cut off.

        Raises:
            AuthError: there are no credentials for it, or it refused them.
            ServerUnavailable: it cannot be reached, or did not answer as a server should.

        """
        asker = self.listing_caller(spec, without_credentials(caller))
        try:
            listing = await self.access.with_credentials(
                spec, asker, lambda session_key: self.list_server(spec, session_key, asker.capabilities, trial=trial)
            )
        except AuthError as error:
            self._on_failure(spec, State.NEEDS_LOGIN, error)
            raise
        except (CircuitOpen, Overloaded):
            raise
        except ServerUnavailable as error:
            partly = isinstance(error, NotListed) or spec.name in self.registry.catalog.servers
            self._on_failure(spec, State.DEGRADED if partly else State.DOWN, error)
            raise
        admitted = self.registry.admission.admit(await self.shared.pinning.admit(spec, listing))
        if not self.registry.is_current(spec):
            raise NoLongerConfigured(spec.name)
        self._pauses.pop(spec.name, None)
        await self.shared.publish(spec, listing, admitted, turn)
        return admitted

    def listing_caller(self, spec: ServerSpec, caller: Caller) -> Caller:
        """Return the caller as whom to list a server.

        It has the caller's credentials and the widest capabilities of any client so far.
        """
        if spec.stateful or not widens(self.host.capabilities, caller.capabilities):
            return caller
        return replace(caller, client=None, capabilities=self.host.capabilities)

    async def list_server(
        self, spec: ServerSpec, session_key: SessionKey, capabilities: Mapping[str, Any], *, trial: bool = False
    ) -> Listing:
        """List a server for a session key, without publishing.

        The server has been given these client capabilities.
        """
        try:
            return await list_server(self.pool, spec, session_key, capabilities, trial=trial)
        finally:
            self.on_asked()

    def _is_due(self, spec: ServerSpec, caller: Caller) -> bool:
        match self.registry.states.discovery_state(spec.name):
            case State.READY:
                listing = self.registry.catalog.servers[spec.name]
                hears_more = widens(caller.capabilities, listing.client_capabilities)
                return hears_more or not self.shared.is_fresh(listing)
            case State.DOWN | State.DEGRADED | State.NEEDS_LOGIN:
                return anyio.current_time() >= self._pauses[spec.name].until
        return False

    def _schedule(self, spec: ServerSpec, caller: Caller) -> _Refresh:
        """Return the current refresh of a server, or start one.

        The caller of this method sets the reason.
        """
        run = self._runs.get(spec.name)
        if run is None:
            self._runs[spec.name] = run = _Refresh(anyio.current_time(), caller)
            self.tasks.start_soon(self._run, spec, run)
        return run

    async def _run(self, spec: ServerSpec, run: _Refresh) -> None:
        """Discover in the background, until there is no reason any more."""
        try:
            while (run.due or run.changed or run.news) and self.registry.is_current(spec):
                if (run.due or run.changed) and spec.name not in self.registry.catalog.servers:
                    self.registry.mark(spec.name, State.STARTING)
                if run.changed:
                    await self._wait_quiet(spec)
                    run.due = run.changed = run.news = False
                    await self._refresh_changed(spec, run.caller)
                elif run.due:
                    run.due = run.news = False
                    await self._refresh(spec, run)
                else:
                    run.news = False
                    if await self.shared.load_update(spec, self._capabilities_for(spec, run.caller)):
                        await self._refresh_changed(spec, run.caller)
        finally:
            if self._runs.get(spec.name) is run:
                del self._runs[spec.name]
            run.found.set()
            run.done.set()

    async def _wait_quiet(self, spec: ServerSpec) -> None:
        """Wait until a server has stopped sending `list_changed`.

        The interval doubles for a server that announces a change whenever it is listed.
        """
        now = anyio.current_time()
        quiet = self._quiet.setdefault(spec.name, _Pause(quiet_backoff()))
        if now >= quiet.until:
            quiet.backoff.reset()
        quiet.seconds = quiet.backoff.next_delay()
        quiet.until = now + quiet.seconds * 4 + 1
        await anyio.sleep(quiet.seconds)

    async def _refresh(self, spec: ServerSpec, run: _Refresh) -> None:
        """Load a fresh listing from storage, or list the server.

        Of all replicas one lists the server at a time.
        """
        most = self._capabilities_for(spec, run.caller)
        if await self.shared.load_fresh(spec, most):
            return
        if spec.name in self.registry.catalog.servers:
            run.found.set()
        async with self._pace.slot(), self.shared.listing_lease(spec, most) as turn:
            await self._discover(spec, run.caller, turn)

    async def _refresh_changed(self, spec: ServerSpec, caller: Caller) -> None:
        """List a changed server, unless another replica starts to."""
        async with (
            self._pace.slot(),
            self.shared.lease_after_change(spec, self._capabilities_for(spec, caller)) as turn,
        ):
            await self._discover(spec, caller, turn)

    async def _discover(self, spec: ServerSpec, caller: Caller, turn: str | None) -> None:
        if turn is not None:
            with suppress(AuthError, ServerUnavailable):  # noted in the registry, and logged
                listing = await self.discover(spec, caller, turn)
                log.info("discovered", server=spec.name, tools=len(listing.tools))

    def _capabilities_for(self, spec: ServerSpec, caller: Caller) -> Mapping[str, Any]:
        return self.listing_caller(spec, without_credentials(caller)).capabilities

    def _on_replica_update(self, server: str, stamp: ListingVersion) -> None:
        """Handle a listing version that another replica has saved.

        The listing is read if it is newer than the current one.
        """
        spec = self.registry.specs.get(server.partition(":")[0])
        if spec is None or identity(spec) != server:
            return
        if spec.name in self._runs or not self.shared.confirm(spec, self._capabilities_for(spec, self.host), stamp):
            self._schedule(spec, self.host).news = True

    def _on_replica_gap(self) -> None:
        """Handle a gap in replica updates by checking every server."""
        for spec in self.registry.specs.values():
            listing, run = self.registry.catalog.servers.get(spec.name), self._schedule(spec, self.host)
            run.news, run.due = True, run.due or bool(listing and listing.withheld)  # its pins may be read now

    def _on_failure(self, spec: ServerSpec, state: State, error: GatewayError) -> None:
        if not self.registry.is_current(spec):
            return
        pause = self._pauses.setdefault(spec.name, _Pause(failure_backoff()))
        if state is State.NEEDS_LOGIN:  # a person may log in at any moment
            pause.backoff.reset()
        pause.seconds = pause.backoff.next_delay()
        pause.until = anyio.current_time() + pause.seconds
        self.registry.mark(spec.name, state, str(error))
        log.info("discovery failed", server=spec.name, reason=str(error), pause=pause.seconds)
