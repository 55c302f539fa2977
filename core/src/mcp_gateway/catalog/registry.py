"""Current state of all servers: configuration, listing and health."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from mcp_gateway.catalog.reservations import Admission, Reservations
from mcp_gateway.catalog.server_health import ServerState, State, States
from mcp_gateway.catalog.snapshot import Catalogue, Offer
from mcp_gateway.config.servers import SWITCHED_OFF, DisabledServer, ServerSpec

MAX_REFUSED = 5
"""How many refused definitions of a server are named in a line."""

_NOT_ASKED = "its tools have not been asked for"


@dataclass(slots=True)
class Registry:
    """Registry of servers in configuration order.

    The callbacks in `on_change` get every new catalog.

    `notices` say why there are fewer servers than a person may expect.
    """

    specs: Mapping[str, ServerSpec]
    catalogue: Catalogue = field(default_factory=Catalogue)
    states: States = field(default_factory=States)
    notices: tuple[str, ...] = ()
    on_change: list[Callable[[Catalogue], None]] = field(default_factory=list)
    admission: Admission = field(default_factory=Admission)

    @classmethod
    def of(
        cls, specs: tuple[ServerSpec, ...], disabled: tuple[DisabledServer, ...], notices: tuple[str, ...] = ()
    ) -> Registry:
        """Create the registry of servers without listings."""
        registry = cls(
            {spec.name: spec for spec in specs}, notices=notices, admission=Admission(Reservations.of(specs, disabled))
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
        before, self.specs, self.notices = self.specs, dict(specs), notices
        self.admission.reservations = Reservations.of(specs.values(), disabled)
        offers = {name: offer for name in specs if (offer := self._kept(before.get(name), specs[name])) is not None}
        self.catalogue = Catalogue(offers, self.catalogue.revision + 1)
        same = {name for name, spec in specs.items() if before.get(name) is spec}
        for name in {name for name, _ in self.states.items()} - same:
            self.states.forget(name)
        for name in [name for name in specs if name not in same]:
            self.mark(name, State.READY if name in offers else State.IDLE, "" if name in offers else _NOT_ASKED)
        for server in disabled:
            if server.name not in specs:
                self.mark(server.name, State.DISABLED, server.reason)
        self._tell()

    def is_current(self, spec: ServerSpec) -> bool:
        """Whether a server is still configured so."""
        return self.specs.get(spec.name) is spec

    def _kept(self, before: ServerSpec | None, spec: ServerSpec) -> Offer | None:
        offer = self.catalogue.servers.get(spec.name)
        if before is None or offer is None or (before.fingerprint, before.saved) != (spec.fingerprint, spec.saved):
            return None
        return self.admission.admit(offer if before is spec else replace(offer, namespace=spec.namespace))

    def _tell(self) -> None:
        for tell in self.on_change:
            tell(self.catalogue)

    def put(self, offer: Offer, state: State = State.READY) -> None:
        """Store a listing; notify the listeners if the catalog changed."""
        before = self.catalogue.revision
        self.catalogue = self.catalogue.with_offer(self.admission.admit(offer), list(self.specs))
        self.mark(offer.server, state)
        if self.catalogue.revision != before:
            self._tell()

    def mark(self, server: str, state: State, reason: str = "") -> None:
        """Note what came of asking a server for what it offers."""
        self.states.mark(server, state, reason)

    def notes(self, own: Mapping[str, ServerState] | None = None, catalogue: Catalogue | None = None) -> list[str]:
        """Return a line for each unavailable server.

        It says why the server's tools may be missing.

        A caller may have states of his `own`, and a catalogue.
        """
        theirs = {name: state for name, state in (own or {}).items() if not self.states.is_cut_off(name)}
        known, states = (catalogue or self.catalogue).servers, {**dict(self.states.items()), **theirs}
        notes = [note for name, state in states.items() if (note := _note(name, state, known=name in known))]
        notes += [_withheld(offer) for offer in known.values() if offer.withheld]
        return [*self.notices, *notes, *(_refused(offer) for offer in known.values() if offer.refused)]


def _withheld(offer: Offer) -> str:
    tools = f"{len(offer.withheld)} tool{'' if len(offer.withheld) == 1 else 's'}"
    names = ", ".join(sorted(offer.withheld)[:5])
    return f"{offer.server}: {tools} withheld, whose definitions have changed and wait for approval: {names}"


def _refused(offer: Offer) -> str:
    """Describe a server's refused definitions and the owners of their names."""
    shown = "; ".join(refusal.what for refusal in offer.refused[:MAX_REFUSED])
    more = len(offer.refused) - MAX_REFUSED
    return f"{offer.server}: its {shown}{f'; and {more} more' if more > 0 else ''}"


def _note(server: str, state: ServerState, *, known: bool) -> str:
    since, reason = f"{server}: {state.name} since {state.clock}", state.brief(server)
    match state.name:
        case State.READY:
            return ""
        case State.STARTING:
            return f"{since}; search again in a moment"
        case State.IDLE:
            return f"{server}: {reason}; call discover_tools with server_name {server!r}"
        case State.DISABLED:
            return "" if reason == SWITCHED_OFF else f"{server}: disabled: {reason}"  # nobody misses what is off
        case State.DOWN if known:
            return f"{since}, its tools fail until it is back: {reason}"
    return f"{since}: {reason}"
