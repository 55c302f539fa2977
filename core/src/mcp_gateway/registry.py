"""The registry: what the gateway knows of every server, its tools and its state, at this moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mcp_gateway.catalogue import Catalogue, Offer
from mcp_gateway.config.servers import DisabledServer, ServerSpec


class State(StrEnum):
    """How a server is doing."""

    IDLE = "idle"
    """Nobody has asked it for its tools yet (`auto_discover` is off)."""
    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting"
    """It wants a caller's own credentials before it can be asked for its tools."""
    DOWN = "down"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Status:
    """A server's state, why, and since when (seconds since the epoch)."""

    state: State
    reason: str = ""
    since: float = field(default_factory=time.time)


@dataclass(slots=True)
class Registry:
    """Servers by name, in the order of the configuration. `on_change` hears of every new catalogue."""

    specs: Mapping[str, ServerSpec]
    catalogue: Catalogue = field(default_factory=Catalogue)
    statuses: dict[str, Status] = field(default_factory=dict)
    on_change: list[Callable[[Catalogue], None]] = field(default_factory=list)

    @classmethod
    def of(cls, specs: tuple[ServerSpec, ...], disabled: tuple[DisabledServer, ...]) -> Registry:
        """Begin with servers that nobody has asked yet."""
        statuses = {spec.name: Status(State.IDLE, "its tools have not been asked for") for spec in specs}
        for server in disabled:
            statuses.setdefault(server.name, Status(State.DISABLED, server.reason))
        return cls({spec.name: spec for spec in specs}, statuses=statuses)

    def put(self, offer: Offer) -> None:
        """Take over what a server offers, and tell those who want to know if it changed."""
        before = self.catalogue.revision
        self.catalogue = self.catalogue.with_offer(offer, list(self.specs))
        self.mark(offer.server, State.READY)
        if self.catalogue.revision != before:
            for tell in self.on_change:
                tell(self.catalogue)

    def mark(self, server: str, state: State, reason: str = "") -> None:
        """Note a server's state; an unchanged state keeps its time."""
        before = self.statuses.get(server)
        if before is None or (before.state, before.reason) != (state, reason):
            self.statuses[server] = Status(state, reason)

    def notes(self) -> list[str]:
        """Say in a line for each server that is not ready why its tools may be missing."""
        return [note for name, status in self.statuses.items() if (note := self._note(name, status))]

    def _note(self, name: str, status: Status) -> str:
        match status.state:
            case State.READY:
                return ""
            case State.STARTING:
                return f"{name}: still starting; search again in a moment"
            case State.IDLE:
                return f"{name}: {status.reason}; call discover_tools with server_name {name!r}"
            case State.WAITING:
                return f"{name}: needs credentials: {status.reason}"
            case State.DOWN if name in self.catalogue.servers:
                return f"{name}: down, its tools may fail: {status.reason}"
            case State.DOWN | State.DISABLED:
                return f"{name}: {status.state}: {status.reason}"
