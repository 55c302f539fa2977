"""Catalogs of callers with private credentials, refreshed per caller."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import structlog
from anyio.abc import TaskGroup

from mcp_gateway.catalog.overlays import Held, Key, Personal, View
from mcp_gateway.catalog.registry import Registry
from mcp_gateway.catalog.server_health import ServerState, State
from mcp_gateway.catalog.snapshot import Offer
from mcp_gateway.client.errors import NoLongerConfigured
from mcp_gateway.config.servers import ServerSpec
from mcp_gateway.discovery.list_server import NotListed
from mcp_gateway.discovery.refresher import (
    FIRST_PAUSE,
    LIST_CHANGED,
    LONGEST_PAUSE,
    LONGEST_QUIET,
    QUIET_SECONDS,
    Discovery,
)
from mcp_gateway.plugin import AuthError, Caller, GatewayError, ServerUnavailable
from mcp_gateway.protocol.client_channel import Json, thawed
from mcp_gateway.sessions.circuit_breaker import CutOff
from mcp_gateway.sessions.credentials import Access
from mcp_gateway.sessions.session_key import Borrower

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Errand:
    """A refresh of one server's listing for a caller.

    It has the session to use, and the overlay key for the result.
    """

    spec: ServerSpec
    key: Key
    borrower: Borrower
    capabilities: Mapping[str, Any]


ChangedFn = Callable[[str, Offer | None, Offer, frozenset[str]], None]
"""Hears that a server offers something else to some clients: its name, what it offered, what it offers, to whom."""


@dataclass(slots=True)
class Views:
    """Scheduler that refreshes the overlays of callers.

    Callers never wait for the servers of other callers.
    """

    registry: Registry
    access: Access
    discovery: Discovery
    personal: Personal
    tasks: TaskGroup
    on_change: list[ChangedFn] = field(default_factory=list)

    async def see(self, caller: Caller, patience: float | None = None) -> View:
        """Return a caller's catalog; with `patience`, refresh due listings first.

        `patience` is how many seconds to wait for the refreshes.

        An `auth_header` is for one call of one server: it makes no view.
        """
        asker, keys, runs = replace(caller, override=None), dict[str, Key](), list[anyio.Event]()
        for spec in self.registry.specs.values():
            credentials = await self.access.own(spec, asker)
            if credentials is None:
                continue
            keys[spec.name] = key = self.personal.key(spec.name, credentials)
            if patience is not None and (done := await self._freshened(spec, key, asker)) is not None:
                runs.append(done)
        with anyio.move_on_after(patience or 0.0):
            for done in runs:
                await done.wait()
        return self.personal.view(keys)

    @property
    def running(self) -> bool:
        """Whether any refresh for a caller is in progress."""
        return self.personal.running

    def notes(self, view: View) -> list[str]:
        """Return a line per unavailable server for a caller.

        It says why the server's tools may be missing.
        """
        return self.registry.notes(view.states, view.catalogue)

    async def offer(self, spec: ServerSpec, caller: Caller) -> Offer | None:
        """Return a server's listing for a caller, if known.

        The `auth_header` of the caller's call counts, too.
        """
        credentials = await self.access.own(spec, caller)
        own = None if credentials is None else self.personal.offer(spec.name, credentials)
        return own or self.registry.catalogue.servers.get(spec.name)

    async def discover(self, spec: ServerSpec, caller: Caller, *, trial: bool = False) -> Offer:
        """List a server for a caller now.

        A `trial` is let through even if the circuit is open.

        Raises:
            AuthError: there are no credentials for it, or it refused them.
            ServerUnavailable: it cannot be reached, or did not answer as a server should.

        """
        asker = self.discovery.asker(spec, caller)
        await self.access.borrower(spec, asker)  # what is wrong with the caller's own is told
        if await self.access.own(spec, caller) is None:
            return await self.discovery.discover(spec, caller, trial=trial)

        async def ask(borrower: Borrower) -> Offer:
            key = self.personal.key(spec.name, borrower.credentials)
            return await self._ask(Errand(spec, key, borrower, asker.capabilities), trial=trial)

        return await self.access.attempt(spec, asker, ask)

    def announced(self, key: Borrower, method: str, params: Json) -> None:
        """Handle a `list_changed` notification for the session's credentials.

        Callers with other credentials are not concerned.
        """
        own = self.personal.key(key.spec.name, key.credentials)
        if self.personal.has(own) and method in LIST_CHANGED:
            held = self.personal.held(own)
            if held.done is not None:
                held.again = True
            else:
                self._begin(Errand(key.spec, own, key, thawed(key.capabilities)), held, quiet=True)
        else:
            self.discovery.announced(key, method, params)

    def forget_client(self, client: str) -> None:
        """Forget that a client that has left has seen anything."""
        self.personal.forget_client(client)

    async def _freshened(self, spec: ServerSpec, key: Key, caller: Caller) -> anyio.Event | None:
        """Start a due refresh; return its completion event, if any.

        The event is that of the refresh in progress.
        """
        if not spec.auto_discover and not self.personal.has(key):
            return None
        held = self.personal.held(key)
        if caller.client is not None:
            held.clients.add(caller.client)
        if held.done is None and self._is_due(held):
            asker = self.discovery.asker(spec, caller)
            try:
                borrower = await self.access.borrower(spec, asker)
            except GatewayError:
                return None
            self._begin(Errand(spec, key, borrower, asker.capabilities), held)
        return held.done

    def _is_due(self, held: Held) -> bool:
        if held.state.name is State.READY and held.offer is not None:
            return not self.discovery.shared.is_fresh(replace(held.offer, fetched=held.fetched))
        return anyio.current_time() >= held.until

    def _begin(self, errand: Errand, held: Held, *, quiet: bool = False) -> None:
        held.done, held.again = anyio.Event(), quiet
        self.tasks.start_soon(self._run, errand, held)

    async def _run(self, errand: Errand, held: Held) -> None:
        """Refresh in the background, repeating while the server announces changes."""
        try:
            if held.again:
                await _until_quiet(held)
            held.again = False
            await self._try(errand)
            while held.again:
                await _until_quiet(held)
                held.again = False
                await self._try(errand)
        finally:
            if held.done is not None:
                held.done.set()
            held.done = None

    async def _try(self, errand: Errand) -> None:
        with suppress(AuthError, ServerUnavailable):  # noted, and logged
            await self._ask(errand)

    async def _ask(self, errand: Errand, *, trial: bool = False) -> Offer:
        try:
            offer = await self.discovery.ask(errand.spec, errand.borrower, errand.capabilities, trial=trial)
        except CutOff:
            raise
        except (AuthError, ServerUnavailable) as error:
            if self.registry.is_current(errand.spec):
                self._failed(errand, error)
            raise
        if not self.registry.is_current(errand.spec):
            raise NoLongerConfigured(errand.spec.name)
        offer = self.registry.admission.admit(
            await self.discovery.shared.pinning.admitted(errand.spec, offer, own=True)
        )
        before = self.personal.put(errand.key, offer)
        if before != offer:
            clients = frozenset(self.personal.held(errand.key).clients)
            log.info("discovered for a caller", server=offer.server, tools=len(offer.tools))
            for tell in self.on_change:
                tell(offer.server, before, offer, clients)
        return offer

    def _failed(self, errand: Errand, error: GatewayError) -> None:
        held = self.personal.held(errand.key)
        held.pause = min(held.pause * 2, LONGEST_PAUSE) if held.pause else FIRST_PAUSE
        held.until = anyio.current_time() + held.pause
        reached = State.DEGRADED if held.offer is not None or isinstance(error, NotListed) else State.DOWN
        held.state = ServerState(State.NEEDS_LOGIN if isinstance(error, AuthError) else reached, str(error))
        log.info("discovery for a caller failed", server=errand.spec.name, reason=str(error), pause=held.pause)


async def _until_quiet(held: Held) -> None:
    """Wait until `list_changed` notifications cease.

    The interval doubles for a server that sends them all the time.
    """
    now = anyio.current_time()
    ceaseless = now < held.asked + held.quiet * 4 + 1
    held.quiet = min(held.quiet * 2, LONGEST_QUIET) if ceaseless and held.quiet else QUIET_SECONDS
    held.asked = now
    await anyio.sleep(held.quiet)
