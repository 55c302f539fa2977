"""Catalogs of callers with private credentials, refreshed per caller."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import structlog
from anyio.abc import TaskGroup

from mcp_gateway.catalog.overlays import CallerCatalog, Key, OverlayEntry, Overlays
from mcp_gateway.catalog.registry import Registry
from mcp_gateway.catalog.server_health import ServerState, State
from mcp_gateway.catalog.snapshot import Listing
from mcp_gateway.client.errors import NoLongerConfigured
from mcp_gateway.config.servers import ServerSpec
from mcp_gateway.discovery.list_server import NotListed
from mcp_gateway.discovery.refresher import LIST_CHANGED, Refresher
from mcp_gateway.plugin import AuthError, Caller, GatewayError, ServerUnavailable
from mcp_gateway.protocol.client_channel import Json, decode_capabilities
from mcp_gateway.sessions.circuit_breaker import CircuitOpen
from mcp_gateway.sessions.credentials import CredentialResolver
from mcp_gateway.sessions.session_key import SessionKey

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RefreshJob:
    """A refresh of one server's listing for a caller.

    It has the session to use, and the overlay key for the result.
    """

    spec: ServerSpec
    key: Key
    session_key: SessionKey
    capabilities: Mapping[str, Any]


ChangedFn = Callable[[str, Listing | None, Listing, frozenset[str]], None]
"""Hears that a server offers something else to some clients: its name, what it offered, what it offers, to whom."""


@dataclass(slots=True)
class CallerRefresher:
    """Scheduler that refreshes the overlays of callers.

    Callers never wait for the servers of other callers.
    """

    registry: Registry
    access: CredentialResolver
    discovery: Refresher
    personal: Overlays
    tasks: TaskGroup
    on_change: list[ChangedFn] = field(default_factory=list)

    async def view_of(self, caller: Caller, inactivity: float | None = None) -> CallerCatalog:
        """Return a caller's catalog; with `inactivity`, refresh due listings first.

        `inactivity` is how many seconds to wait for the refreshes.

        An `auth_header` is for one call of one server: it makes no view.
        """
        asker, keys, runs = replace(caller, auth_header=None), dict[str, Key](), list[anyio.Event]()
        for spec in self.registry.specs.values():
            credentials = await self.access.private_credentials(spec, asker)
            if credentials is None:
                continue
            keys[spec.name] = key = self.personal.key(spec.name, credentials)
            if inactivity is not None and (done := await self._refresh_if_due(spec, key, asker)) is not None:
                runs.append(done)
        with anyio.move_on_after(inactivity or 0.0):
            for done in runs:
                await done.wait()
        return self.personal.view(keys)

    @property
    def running(self) -> bool:
        """Whether any refresh for a caller is in progress."""
        return self.personal.running

    def notes(self, view: CallerCatalog) -> list[str]:
        """Return a line per unavailable server for a caller.

        It says why the server's tools may be missing.
        """
        return self.registry.notes(view.states, view.catalog)

    async def listing_of(self, spec: ServerSpec, caller: Caller) -> Listing | None:
        """Return a server's listing for a caller, if known.

        The `auth_header` of the caller's call counts, too.
        """
        credentials = await self.access.private_credentials(spec, caller)
        own = None if credentials is None else self.personal.listing(spec.name, credentials)
        return own or self.registry.catalog.servers.get(spec.name)

    async def discover(self, spec: ServerSpec, caller: Caller, *, trial: bool = False) -> Listing:
        """List a server for a caller now.

        A `trial` is let through even if the circuit is open.

        Raises:
            AuthError: there are no credentials for it, or it refused them.
            ServerUnavailable: it cannot be reached, or did not answer as a server should.

        """
        asker = self.discovery.listing_caller(spec, caller)
        await self.access.session_key(spec, asker)  # what is wrong with the caller's own is told
        if await self.access.private_credentials(spec, caller) is None:
            return await self.discovery.discover(spec, caller, trial=trial)

        async def ask(session_key: SessionKey) -> Listing:
            key = self.personal.key(spec.name, session_key.credentials)
            return await self._ask(RefreshJob(spec, key, session_key, asker.capabilities), trial=trial)

        return await self.access.with_credentials(spec, asker, ask)

    def on_list_changed(self, key: SessionKey, method: str, params: Json) -> None:
        """Handle a `list_changed` notification for the session's credentials.

        Callers with other credentials are not concerned.
        """
        own = self.personal.key(key.spec.name, key.credentials)
        if self.personal.has(own) and method in LIST_CHANGED:
            held = self.personal.entry(own)
            if held.done is not None:
                held.again = True
            else:
                self._begin(RefreshJob(key.spec, own, key, decode_capabilities(key.capabilities)), held, quiet=True)
        else:
            self.discovery.on_list_changed(key, method, params)

    def forget_client(self, client: str) -> None:
        """Forget that a client that has left has seen anything."""
        self.personal.forget_client(client)

    async def _refresh_if_due(self, spec: ServerSpec, key: Key, caller: Caller) -> anyio.Event | None:
        """Start a due refresh; return its completion event, if any.

        The event is that of the refresh in progress.
        """
        if not spec.auto_discover and not self.personal.has(key):
            return None
        held = self.personal.entry(key)
        if caller.client is not None:
            held.clients.add(caller.client)
        if held.done is None and self._is_due(held):
            asker = self.discovery.listing_caller(spec, caller)
            try:
                session_key = await self.access.session_key(spec, asker)
            except GatewayError:
                return None
            self._begin(RefreshJob(spec, key, session_key, asker.capabilities), held)
        return held.done

    def _is_due(self, held: OverlayEntry) -> bool:
        if held.state.name is State.READY and held.listing is not None:
            return not self.discovery.shared.is_fresh(replace(held.listing, fetched=held.fetched))
        return anyio.current_time() >= held.until

    def _begin(self, job: RefreshJob, held: OverlayEntry, *, quiet: bool = False) -> None:
        held.done, held.again = anyio.Event(), quiet
        self.tasks.start_soon(self._run, job, held)

    async def _run(self, job: RefreshJob, held: OverlayEntry) -> None:
        """Refresh in the background, repeating while the server announces changes."""
        try:
            if held.again:
                await _wait_quiet(held)
            held.again = False
            await self._try(job)
            while held.again:
                await _wait_quiet(held)
                held.again = False
                await self._try(job)
        finally:
            if held.done is not None:
                held.done.set()
            held.done = None

    async def _try(self, job: RefreshJob) -> None:
        with suppress(AuthError, ServerUnavailable):  # noted, and logged
            await self._ask(job)

    async def _ask(self, job: RefreshJob, *, trial: bool = False) -> Listing:
        try:
            listing = await self.discovery.list_server(job.spec, job.session_key, job.capabilities, trial=trial)
        except CircuitOpen:
            raise
        except (AuthError, ServerUnavailable) as error:
            if self.registry.is_current(job.spec):
                self._on_failure(job, error)
            raise
        if not self.registry.is_current(job.spec):
            raise NoLongerConfigured(job.spec.name)
        listing = self.registry.admission.admit(await self.discovery.shared.pinning.admit(job.spec, listing, own=True))
        before = self.personal.put(job.key, listing)
        if before != listing:
            clients = frozenset(self.personal.entry(job.key).clients)
            log.info("discovered for a caller", server=listing.server, tools=len(listing.tools))
            for tell in self.on_change:
                tell(listing.server, before, listing, clients)
        return listing

    def _on_failure(self, job: RefreshJob, error: GatewayError) -> None:
        held = self.personal.entry(job.key)
        pause = held.pause.next_delay()
        held.until = anyio.current_time() + pause
        reached = State.DEGRADED if held.listing is not None or isinstance(error, NotListed) else State.DOWN
        held.state = ServerState(State.NEEDS_LOGIN if isinstance(error, AuthError) else reached, str(error))
        log.info("discovery for a caller failed", server=job.spec.name, reason=str(error), pause=pause)


async def _wait_quiet(held: OverlayEntry) -> None:
    """Wait until `list_changed` notifications cease.

    The interval doubles for a server that sends them all the time.
    """
    now = anyio.current_time()
    if now >= held.quiet_until:
        held.quiet.reset()
    seconds = held.quiet.next_delay()
    held.quiet_until = now + seconds * 4 + 1
    await anyio.sleep(seconds)
