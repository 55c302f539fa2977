"""Registry of clients' connections, with a limit of their number.

Connections with an authenticated request are admitted; the others are strangers. At the limit the oldest stranger is
closed for a new connection, so a flood of connections can displace only other unauthenticated ones.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Protocol

from mcp_gateway_transport_http.http1.connection_bounds import MAX_UNREAD_HEAD_BYTES, ConnectionBounds
from mcp_gateway_transport_http.network import network_of

SWEEP_INTERVAL = 1.0
"""Seconds between two checks of the deadlines: one timer for all connections, none per request."""


class Connection(Protocol):
    """A connection, as far as the registry uses it.

    At its `deadline` the registry calls `on_deadline`; the connection decides what to do.
    """

    @property
    def deadline(self) -> float:
        """When something is due."""
        ...

    @property
    def address(self) -> str:
        """The address that it comes from."""
        ...

    @property
    def buffer_size(self) -> int:
        """How much has come that was not read yet."""
        ...

    def abort(self) -> None:
        """Close it at once."""

    def on_deadline(self, now: float) -> None:
        """Handle the passed deadline."""

    def check_state(self, now: float) -> None:
        """Set a deadline if the peer has closed or reads nothing."""


class ConnectionRegistry:
    """Registry that limits connections and checks their deadlines."""

    def __init__(self, bounds: ConnectionBounds) -> None:
        """Create an empty registry."""
        self.bounds = bounds
        self._open: set[Connection] = set()
        self._strangers: OrderedDict[Connection, None] = OrderedDict()
        self._of_networks: dict[str, OrderedDict[Connection, None]] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> bool:
        """Add a connection; return whether there was room.

        If necessary it replaces an older stranger.
        """
        neighbours = self._of_networks.setdefault(network_of(connection.address), OrderedDict())
        if len(neighbours) >= self.bounds.max_per_address:
            self._evict(next(iter(neighbours)))
        # Only strangers are closed to make room, never admitted connections.
        if len(self._open) >= self.bounds.max_connections and self._strangers:
            self._evict(next(iter(self._strangers)))
        has_room = len(self._open) < self.bounds.max_connections
        # A connection without room is registered, too: it gets a response and is then closed as usual.
        self._open.add(connection)
        self._strangers[connection] = None
        self._of_networks.setdefault(network_of(connection.address), neighbours)[connection] = None
        if self._sweeping is None:
            self._sweeping = loop.call_later(SWEEP_INTERVAL, self._sweep, loop)
        return has_room

    def admit(self, connection: Connection) -> None:
        """Count a connection as admitted."""
        if connection in self._strangers:
            del self._strangers[connection]
            network = network_of(connection.address)
            neighbours = self._of_networks[network]
            del neighbours[connection]
            if not neighbours:
                del self._of_networks[network]

    def remove(self, connection: Connection) -> None:
        """Unregister a connection that has ended."""
        self.admit(connection)
        self._open.discard(connection)

    def _evict(self, connection: Connection) -> None:
        self.remove(connection)
        connection.abort()

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        # A copy, because connections that are closed unregister themselves.
        for connection in tuple(self._open):
            if connection.deadline <= now:
                connection.on_deadline(now)
            else:
                connection.check_state(now)
        self._free_memory()
        self._sweeping = loop.call_later(SWEEP_INTERVAL, self._sweep, loop) if self._open else None

    def _free_memory(self) -> None:
        """Close the oldest strangers if their unread bytes are too many."""
        kept = sum(connection.buffer_size for connection in self._strangers)
        for connection in tuple(self._strangers) if kept > MAX_UNREAD_HEAD_BYTES else ():
            if kept <= MAX_UNREAD_HEAD_BYTES:
                break
            if connection.buffer_size:
                kept -= connection.buffer_size
                self._evict(connection)
