"""Server health states with reasons and times, logged on change."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

import anyio
import structlog

from mcp_gateway.runtime.backoff import Backoff

log = structlog.get_logger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""First and longest delay in seconds before a server that could not be listed is tried again."""

QUIET_SECONDS, LONGEST_QUIET = 0.1, 60.0
"""How long to wait after a change notification for further ones, in seconds; doubled while they keep coming."""

# Short, because reasons are part of every search result until the server is back.
_MAX_REASON = 240
_SHORT_START = 2.0
"""For how many seconds a start is not worth mentioning, if a server's tools are known."""
_MAX_LINK = 2000
"""Longer, because a login link is useless when it is cut."""


class State(StrEnum):
    """The health state of a server."""

    IDLE = "idle"
    """Not listed yet (`auto_discover` is off)."""
    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"
    """Works in part: it answers but does not list its tools, or a recent request failed."""
    NEEDS_LOGIN = "needs login"
    """It needs credentials that the gateway does not have, or rejects the ones it has."""
    DOWN = "down"
    DISABLED = "disabled"


WRONG = frozenset({State.DEGRADED, State.NEEDS_LOGIN, State.DOWN})
"""The states that need attention."""


def failure_backoff() -> Backoff:
    """Return the back-off between attempts to list a failed server."""
    return Backoff(FIRST_PAUSE, LONGEST_PAUSE)


def quiet_backoff() -> Backoff:
    """Return the back-off for a server that announces changes."""
    return Backoff(QUIET_SECONDS, LONGEST_QUIET)


class Start(Protocol):
    """A start of a server that is under way, or was."""

    @property
    def last_line(self) -> str:
        """The last line that the server has written for people, if known."""
        ...

    @property
    def since(self) -> float:
        """When it began, in seconds since the epoch."""
        ...

    @property
    def settled(self) -> anyio.Event:
        """Set when the server has started, or failed to."""
        ...


@dataclass(frozen=True, slots=True)
class ServerState:
    """A server's state, why, and since when (seconds since the epoch)."""

    name: State
    reason: str = ""
    since: float = field(default_factory=time.time)

    @property
    def clock(self) -> str:
        """The time since when the state lasts, as text."""
        return format_time(self.since)

    def brief(self, server: str) -> str:
        """Return the reason as a short line without the server's name."""
        line = " ".join(self.reason.removeprefix(f"server {server!r}").removeprefix(":").split())
        line = line.removeprefix("is not available: ")
        max_length = _MAX_LINK if self.name is State.NEEDS_LOGIN else _MAX_REASON
        return line if len(line) <= max_length else f"{line[: max_length - 1].rstrip()}…"


@dataclass(slots=True)
class HealthRegistry:
    """Health of every server, from its listings, failures and starts.

    A failed server did not answer its last request; one that is cut off (open circuit) is not tried at all. While a
    server starts, the last line that it has written is the reason; it is asked for only when somebody looks.
    """

    _shown: dict[str, ServerState] = field(default_factory=dict)
    _asked: dict[str, tuple[State, str]] = field(default_factory=dict)
    _troubles: dict[str, tuple[State, str]] = field(default_factory=dict)
    _starts: dict[str, Start] = field(default_factory=dict)

    def __getitem__(self, server: str) -> ServerState:
        """Return a server's state; `KeyError` if there is no such server."""
        return self._with_start(server, self._shown[server])

    def __contains__(self, server: object) -> bool:
        """Whether there is such a server."""
        return server in self._shown

    def items(self) -> Iterator[tuple[str, ServerState]]:
        """Iterate over servers and their states."""
        for server, state in self._shown.items():
            yield server, self._with_start(server, state) if server in self._starts else state

    def discovery_state(self, server: str) -> State:
        """Return the state of the last listing, regardless of failures."""
        return self._asked[server][0]

    def is_cut_off(self, server: str) -> bool:
        """Whether a server's circuit is open."""
        return self._troubles.get(server, (None, ""))[0] is State.DOWN

    def mark(self, server: str, state: State, reason: str = "") -> None:
        """Record the outcome of listing a server."""
        self._asked[server] = (state, reason)
        self._show(server)

    def mark_failed(self, server: str, reason: str, *, cut_off: bool) -> None:
        """Record a failure; `cut_off` means the circuit is open."""
        self._troubles[server] = (State.DOWN if cut_off else State.DEGRADED, reason)
        self._show(server)

    def mark_recovered(self, server: str) -> None:
        """Record that a server answers again."""
        if self._troubles.pop(server, None) is not None:
            self._show(server)

    def watch_start(self, server: str, start: Start) -> None:
        """Show a start of a server that no session is open with."""
        if server not in self._starts or self._starts[server].settled.is_set():
            self._starts[server] = start

    def forget(self, server: str) -> None:
        """Remove a server that is no longer configured."""
        kept: dict[str, Any]
        for kept in (self._shown, self._asked, self._troubles, self._starts):
            kept.pop(server, None)

    def _with_start(self, server: str, state: ServerState) -> ServerState:
        """Return a state as it is while the server starts.

        What is wrong with the server says more than that it is tried again.
        """
        start = self._starts.get(server)
        if start is None or start.settled.is_set() or state.name in {*WRONG, State.DISABLED}:
            return state
        if state.name is not State.STARTING and time.time() - start.since < _SHORT_START:
            return state
        return ServerState(State.STARTING, start.last_line, start.since)

    def _show(self, server: str) -> None:
        """Update the visible state; an unchanged state keeps its time."""
        if server not in self._asked:
            return
        name, reason = self._asked[server]
        trouble = self._troubles.get(server)
        if trouble is not None and (name is State.READY or (trouble[0] is State.DOWN and name is not State.DISABLED)):
            name, reason = trouble
        before = self._shown.get(server)
        if before is not None and (before.name, before.reason) == (name, reason):
            return
        # A new reason for the same state is logged at debug only.
        same = before is not None and before.name is name
        self._shown[server] = ServerState(name, reason, before.since) if same and before else ServerState(name, reason)
        level = logging.DEBUG if same else logging.WARNING if name in WRONG else logging.INFO
        why = {"reason": reason} if reason else {}
        log.log(level, "server state", server=server, state=name.value, **why)


def format_time(seconds: float) -> str:
    """Format a time as UTC, with the date unless today.

    The time is in seconds since the epoch.
    """
    at, now = datetime.fromtimestamp(seconds, UTC), datetime.now(UTC)
    return f"{at:%H:%M:%S} UTC" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M:%S} UTC"
