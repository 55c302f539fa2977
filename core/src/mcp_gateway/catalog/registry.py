"""Current state of all servers: configuration, listing and health."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from mcp_gateway.catalog.listing import Listing
from mcp_gateway.catalog.reservations import Admission, Reservations
from mcp_gateway.catalog.server_health import HealthRegistry, ServerState, State
from mcp_gateway.catalog.snapshot import Catalog
from mcp_gateway.config.server_spec import NOT_USED, SWITCHED_OFF, DisabledServer, ServerSpec
from mcp_gateway.runtime.events import GatewayEvents
from mcp_gateway.text.hints import ASK_SERVER, SEARCH_AGAIN

MAX_REFUSED = 5
"""How many refused definitions of a server are named in a line, and how many that are left out."""

_NOT_ASKED = "its tools have not been asked for"


@dataclass(slots=True)
class Registry:
    """Registry of servers in configuration order.

    `notices` explain why there are fewer servers than the user may expect. `config_problem` says why the file, as it is
    now, is not used. `switched_off` are the names of servers that are disabled on purpose.
    """

    specs: Mapping[str, ServerSpec]
    catalog: Catalog = field(default_factory=Catalog)
    states: HealthRegistry = field(default_factory=HealthRegistry)
    notices: tuple[str, ...] = ()
    events: GatewayEvents = field(default_factory=GatewayEvents)
    admission: Admission = field(default_factory=Admission)
    config_problem: str = ""
    switched_off: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        specs: tuple[ServerSpec, ...],
        disabled: tuple[DisabledServer, ...],
        notices: tuple[str, ...] = (),
        events: GatewayEvents | None = None,
    ) -> Registry:
        """Create the registry of servers without listings."""
        registry = cls(
            {spec.name: spec for spec in specs},
            notices=(*notices, *_describe_namesakes({spec.name for spec in specs}, disabled)),
            events=events or GatewayEvents(),
            admission=Admission(Reservations.of(specs, disabled)),
            switched_off=_list_switched_off(disabled),
        )
        for spec in specs:
            registry.mark(spec.name, State.IDLE, _NOT_ASKED)
        for server in disabled:
            if server.name not in registry.specs:
                registry.mark(server.name, State.DISABLED, server.reason)
        return registry

    def replace(
        self,
        specs: Mapping[str, ServerSpec],
        disabled: tuple[DisabledServer, ...],
        notices: tuple[str, ...] = (),
    ) -> None:
        """Replace the servers, keeping the listings of unchanged endpoints."""
        before, self.specs, self.config_problem = self.specs, dict(specs), ""
        self.notices = (*notices, *_describe_namesakes(specs, disabled))
        self.admission.reservations = Reservations.of(specs.values(), disabled)
        self.switched_off = _list_switched_off(disabled)
        listings = {
            name: listing for name in specs if (listing := self._keep_valid(before.get(name), specs[name])) is not None
        }
        self.catalog = Catalog(listings, self.catalog.revision + 1)
        same = {name for name, spec in specs.items() if before.get(name) is spec}
        for name in {name for name, _ in self.states.items()} - same:
            self.states.forget(name)
        for name in [name for name in specs if name not in same]:
            self.mark(name, State.READY if name in listings else State.IDLE, "" if name in listings else _NOT_ASKED)
        for server in disabled:
            if server.name not in specs:
                self.mark(server.name, State.DISABLED, server.reason)
        self.events.catalog_changed.emit(self.catalog)

    def is_current(self, spec: ServerSpec) -> bool:
        """Whether a server's specification is still in force."""
        return self.specs.get(spec.name) is spec

    def _keep_valid(self, before: ServerSpec | None, spec: ServerSpec) -> Listing | None:
        listing = self.catalog.servers.get(spec.name)
        if before is None or listing is None or (before.fingerprint, before.saved) != (spec.fingerprint, spec.saved):
            return None
        if before is not spec:
            listing = replace(listing, namespace=spec.namespace, max_name=spec.max_name).restrict(spec.tool_policy)
        return self.admission.admit(listing)

    def put(self, listing: Listing, state: State = State.READY, reason: str = "") -> None:
        """Store a listing; emit an event if the catalog changed."""
        before = self.catalog.revision
        self.catalog = self.catalog.with_listing(self.admission.admit(listing), list(self.specs))
        self.mark(listing.server, state, reason)
        if self.catalog.revision != before:
            self.events.catalog_changed.emit(self.catalog)

    def withdraw(self, server: str, reason: str) -> None:
        """Leave a server out that is configured; its listing is forgotten."""
        self.mark(server, State.DISABLED, reason)
        if server in self.catalog.servers:
            left = {name: listing for name, listing in self.catalog.servers.items() if name != server}
            self.catalog = Catalog(left, self.catalog.revision + 1)
            self.events.catalog_changed.emit(self.catalog)

    def mark(self, server: str, state: State, reason: str = "") -> None:
        """Record the outcome of listing a server."""
        self.states.mark(server, state, reason)

    def notes(
        self, caller_states: Mapping[str, ServerState] | None = None, catalog: Catalog | None = None
    ) -> list[str]:
        """Return a line for each unavailable server.

        It says why the server's tools may be missing.

        A caller may have states and a catalog of his own.
        """
        # An open circuit concerns all callers, so it takes precedence over a caller's state.
        theirs = {name: state for name, state in (caller_states or {}).items() if not self.states.is_cut_off(name)}
        known, states = (catalog or self.catalog).servers, {**dict(self.states.items()), **theirs}
        notes = [note for name, state in states.items() if (note := _note(name, state, known=name in known))]
        notes += [_withheld(listing) for listing in known.values() if listing.withheld]
        notes += [_describe_refusals(listing) for listing in known.values() if listing.refused]
        notes += [_describe_left_out(listing) for listing in known.values() if listing.left_out]
        return [*self.notices, *notes]


def _withheld(listing: Listing) -> str:
    tools = f"{len(listing.withheld)} tool{'' if len(listing.withheld) == 1 else 's'}"
    names = ", ".join(sorted(listing.withheld)[:5])
    return f"{listing.server}: {tools} withheld, whose definitions have changed and wait for approval: {names}"


def _describe_refusals(listing: Listing) -> str:
    """Describe a server's refused definitions and the owners of their names."""
    return f"{listing.server}: its {_join([refusal.what for refusal in listing.refused])}"


def _describe_left_out(listing: Listing) -> str:
    """Describe the definitions of a server that clients do not see."""
    return f"{listing.server}: its {_join([left_out.what for left_out in listing.left_out])}"


def _join(lines: list[str]) -> str:
    more = len(lines) - MAX_REFUSED
    return f"{'; '.join(lines[:MAX_REFUSED])}{f'; and {more} more' if more > 0 else ''}"


def _list_switched_off(disabled: tuple[DisabledServer, ...]) -> frozenset[str]:
    return frozenset(server.name for server in disabled if server.on_purpose)


def _describe_namesakes(names: Collection[str], disabled: Iterable[DisabledServer]) -> Iterator[str]:
    """Describe broken entries beside a server of their name."""
    for server in disabled:
        if server.name in names and not server.on_purpose:
            yield f"another entry of server {server.name!r} is {NOT_USED}: {server.reason}"


def _note(server: str, state: ServerState, *, known: bool) -> str:
    since, reason = f"{server}: {state.name} since {state.clock}", state.brief(server)
    match state.name:
        case State.READY:
            return ""
        case State.STARTING:
            return f"{since}{f': {reason}' if reason else ''}; {SEARCH_AGAIN.for_models}"
        case State.IDLE:
            return f"{server}: {reason}; {ASK_SERVER.for_models} {server!r}"
        case State.DISABLED:
            return "" if reason == SWITCHED_OFF else f"{server}: {NOT_USED}: {reason}"
        case State.DOWN if known:
            return f"{since}, its tools fail until it is back: {reason}"
    return f"{since}: {reason}"
