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
from mcp_gateway.catalog.server_health import State
from mcp_gateway.catalog.snapshot import Offer
from mcp_gateway.client.errors import NoLongerConfigured
from mcp_gateway.config.servers import ServerSpec
from mcp_gateway.discovery.concurrency import Pace
from mcp_gateway.discovery.list_server import NotListed, ask
from mcp_gateway.discovery.replicated_catalog import Shared
from mcp_gateway.plugin import ANONYMOUS, AuthError, Caller, GatewayError, ServerUnavailable
from mcp_gateway.protocol.client_channel import Json, widens
from mcp_gateway.sessions.admission import Overloaded
from mcp_gateway.sessions.circuit_breaker import CutOff
from mcp_gateway.sessions.credentials import Access, everybody
from mcp_gateway.sessions.pool import Pool
from mcp_gateway.sessions.session_key import Borrower
from mcp_gateway.storage.listings import Stamp, identity

log = structlog.get_logger(__name__)

LIST_CHANGED = tuple(f"notifications/{name}/list_changed" for name in ("tools", "prompts", "resources"))
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0

GREETING_SECONDS = 1.0
"""How long a client may take to greet, or a transport to be ready, before servers are asked all the same."""

QUIET_SECONDS = 0.1
"""How long to wait after an announcement for more of them; twice as long each time that they do not cease."""

LONGEST_QUIET = 60.0


@dataclass(slots=True)
class _Run:
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

    seconds: float
    until: float


@dataclass(slots=True)
class Discovery:
    """Scheduler that refreshes the registry's listings in the background.

    Servers are refreshed independently of each other.

    Some servers offer more to clients that can do more. They are asked as `host`, the most
    capable client so far. `on_asked` hears that a server has said what it offers, or has failed to.
    """

    registry: Registry
    access: Access
    pool: Pool
    shared: Shared
    tasks: TaskGroup
    host: Caller = ANONYMOUS
    waiting: bool = False
    on_asked: Callable[[], None] = lambda: None
    _runs: dict[str, _Run] = field(default_factory=dict)
    _pauses: dict[str, _Pause] = field(default_factory=dict)
    _quiet: dict[str, _Pause] = field(default_factory=dict)
    _pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        """Ask a few at a time."""
        self._pace = Pace(self.tasks)

    def start(self, *, later: bool = False) -> None:
        """Start refreshing every server that has `auto_discover`.

        With `later`, the refreshes wait for the first client, or for clients to be able to connect, but at
        most `GREETING_SECONDS`.
        """
        self.waiting = True
        self.shared.replicas.on_news.append(self._told)
        self.shared.replicas.on_gap.append(self._missed)
        self.shared.replicas.start()
        if later:
            self.tasks.start_soon(self._start_later)
        else:
            self.begin()

    def greeted(self, caller: Caller) -> None:
        """Take note of what a client can do."""
        if widens(caller.capabilities, self.host.capabilities):
            self.host = Caller(client=caller.client, capabilities=caller.capabilities)
        self.begin()

    async def _start_later(self) -> None:
        await anyio.sleep(GREETING_SECONDS)
        self.begin()

    def begin(self) -> None:
        """Begin now what was to begin later."""
        if not self.waiting:
            return
        self.waiting = False
        wanted = [spec for spec in self.registry.specs.values() if spec.auto_discover]
        for spec in random.sample(wanted, len(wanted)):  # replicas that start together begin with different ones
            self._begin(spec, self.host).due = True

    def announced(self, key: Borrower, method: str, _params: Json) -> None:
        """Handle a `list_changed` notification.

        The server's listing is refreshed.
        """
        if method in LIST_CHANGED and self.registry.is_current(key.spec):
            self._begin(key.spec, self.host).changed = True

    def configured(self, spec: ServerSpec) -> None:
        """Handle a server that was added or changed at run time.

        Its listing is refreshed if it has `auto_discover`.
        """
        for of_before in (self._runs, self._pauses, self._quiet):
            of_before.pop(spec.name, None)
        self.shared.forget(spec.name)
        if spec.auto_discover and not self.waiting:
            self._begin(spec, self.host).due = True

    def freshen(self, caller: Caller) -> None:
        """Schedule a refresh of stale, failed and extensible listings.

        A failed listing is due once its back-off is over, and any listing is due if `caller` has more
        capabilities than it was made for.
        """
        self.greeted(caller)
        for spec in self.registry.specs.values():
            if spec.name not in self._runs and self._is_due(spec, caller):
                self._begin(spec, caller).due = True

    async def settled(self, seconds: float, *, fresh: bool = True) -> None:
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

    async def discover(self, spec: ServerSpec, caller: Caller, turn: str = "", *, trial: bool = False) -> Offer:
        """List a server without caller credentials; publish the listing.

        It goes into registry and storage, and so to other replicas.

        A `trial` asks even a server that is cut off.

        Raises:
            AuthError: there are no credentials for it, or it refused them.
            ServerUnavailable: it cannot be reached, or did not answer as a server should.

        """
        asker = self.asker(spec, everybody(caller))
        try:
            offer = await self.access.attempt(
                spec, asker, lambda borrower: self.ask(spec, borrower, asker.capabilities, trial=trial)
            )
        except AuthError as error:
            self._failed(spec, State.NEEDS_LOGIN, error)
            raise
        except (CutOff, Overloaded):
            raise
        except ServerUnavailable as error:
            partly = isinstance(error, NotListed) or spec.name in self.registry.catalogue.servers
            self._failed(spec, State.DEGRADED if partly else State.DOWN, error)
            raise
        admitted = self.registry.admission.admit(await self.shared.pinning.admitted(spec, offer))
        if not self.registry.is_current(spec):
            raise NoLongerConfigured(spec.name)
        self._pauses.pop(spec.name, None)
        await self.shared.put(spec, offer, admitted, turn)
        return admitted

    def asker(self, spec: ServerSpec, caller: Caller) -> Caller:
        """Return the caller as whom to list a server.

        It has the caller's credentials and the widest capabilities of any client so far.
        """
        if spec.stateful or not widens(self.host.capabilities, caller.capabilities):
            return caller
        return replace(caller, client=None, capabilities=self.host.capabilities)

    async def ask(
        self, spec: ServerSpec, borrower: Borrower, capabilities: Mapping[str, Any], *, trial: bool = False
    ) -> Offer:
        """List a server for a session key, without publishing.

        The server has been given these client capabilities.
        """
        try:
            return await ask(self.pool, spec, borrower, capabilities, trial=trial)
        finally:
            self.on_asked()

    def _is_due(self, spec: ServerSpec, caller: Caller) -> bool:
        match self.registry.states.asked(spec.name):
            case State.READY:
                offer = self.registry.catalogue.servers[spec.name]
                hears_more = widens(caller.capabilities, offer.told)
                return hears_more or not self.shared.is_fresh(offer)
            case State.DOWN | State.DEGRADED | State.NEEDS_LOGIN:
                return anyio.current_time() >= self._pauses[spec.name].until
        return False

    def _begin(self, spec: ServerSpec, caller: Caller) -> _Run:
        """Return the current refresh of a server, or start one.

        The caller of this method sets the reason.
        """
        run = self._runs.get(spec.name)
        if run is None:
            self._runs[spec.name] = run = _Run(anyio.current_time(), caller)
            self.tasks.start_soon(self._run, spec, run)
        return run

    async def _run(self, spec: ServerSpec, run: _Run) -> None:
        """Discover in the background, until there is no reason any more."""
        try:
            while (run.due or run.changed or run.news) and self.registry.is_current(spec):
                if (run.due or run.changed) and spec.name not in self.registry.catalogue.servers:
                    self.registry.mark(spec.name, State.STARTING)
                if run.changed:
                    await self._until_quiet(spec)
                    run.due = run.changed = run.news = False
                    await self._ask_again(spec, run.caller)
                elif run.due:
                    run.due = run.news = False
                    await self._refresh(spec, run)
                else:
                    run.news = False
                    if await self.shared.catch_up(spec, self._most(spec, run.caller)):
                        await self._ask_again(spec, run.caller)
        finally:
            if self._runs.get(spec.name) is run:
                del self._runs[spec.name]
            run.found.set()
            run.done.set()

    async def _until_quiet(self, spec: ServerSpec) -> None:
        """Wait until a server has stopped sending `list_changed`.

        The interval doubles for a server that announces a change whenever it is listed.
        """
        before, now = self._quiet.get(spec.name), anyio.current_time()
        ceaseless = before is not None and now < before.until
        seconds = min(before.seconds * 2, LONGEST_QUIET) if before and ceaseless else QUIET_SECONDS
        self._quiet[spec.name] = _Pause(seconds, now + seconds * 4 + 1)
        await anyio.sleep(seconds)

    async def _refresh(self, spec: ServerSpec, run: _Run) -> None:
        """Load a fresh listing from storage, or list the server.

        Of all replicas one lists the server at a time.
        """
        most = self._most(spec, run.caller)
        if await self.shared.find(spec, most):
            return
        if spec.name in self.registry.catalogue.servers:
            run.found.set()
        async with self._pace.kept(), self.shared.turn(spec, most) as turn:
            await self._discover(spec, run.caller, turn)

    async def _ask_again(self, spec: ServerSpec, caller: Caller) -> None:
        """List a changed server, unless another replica starts to."""
        async with self._pace.kept(), self.shared.turn_from_now(spec, self._most(spec, caller)) as turn:
            await self._discover(spec, caller, turn)

    async def _discover(self, spec: ServerSpec, caller: Caller, turn: str | None) -> None:
        if turn is not None:
            with suppress(AuthError, ServerUnavailable):  # noted in the registry, and logged
                offer = await self.discover(spec, caller, turn)
                log.info("discovered", server=spec.name, tools=len(offer.tools))

    def _most(self, spec: ServerSpec, caller: Caller) -> Mapping[str, Any]:
        return self.asker(spec, everybody(caller)).capabilities

    def _told(self, server: str, stamp: Stamp) -> None:
        """Handle a listing version that another replica has saved.

        The listing is read if it is newer than the current one.
        """
        spec = self.registry.specs.get(server.partition(":")[0])
        if spec is None or identity(spec) != server:
            return
        if spec.name in self._runs or not self.shared.still(spec, self._most(spec, self.host), stamp):
            self._begin(spec, self.host).news = True

    def _missed(self) -> None:
        """Handle a gap in replica updates by checking every server."""
        for spec in self.registry.specs.values():
            offer, run = self.registry.catalogue.servers.get(spec.name), self._begin(spec, self.host)
            run.news, run.due = True, run.due or bool(offer and offer.withheld)  # its pins may be read now

    def _failed(self, spec: ServerSpec, state: State, error: GatewayError) -> None:
        if not self.registry.is_current(spec):
            return
        before = self._pauses.get(spec.name)
        again = before is not None and state is not State.NEEDS_LOGIN  # a person may log in at any moment
        seconds = min(before.seconds * 2, LONGEST_PAUSE) if before and again else FIRST_PAUSE
        self._pauses[spec.name] = _Pause(seconds, anyio.current_time() + seconds)
        self.registry.mark(spec.name, state, str(error))
        log.info("discovery failed", server=spec.name, reason=str(error), pause=seconds)
