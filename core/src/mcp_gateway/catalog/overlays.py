"""Listings for callers with private credentials, kept apart by credentials.

A caller sees only listings fetched with the same credentials.

They are kept in this process only, under a keyed hash of the credentials, and expire when unused. They are not
stored, because credentials can be revoked, and listing again costs only one request per caller and process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol

from cachetools import LRUCache

from mcp_gateway.catalog.listing import Listing
from mcp_gateway.catalog.registry import Registry
from mcp_gateway.catalog.server_health import ServerState, State
from mcp_gateway.catalog.snapshot import Catalog
from mcp_gateway.plugin import Credentials

MAX_HELD = 1000
"""How many entries are kept; beyond that, failed ones are evicted first, then the least recently used."""

MAX_VIEWS = 256
"""How many merged catalogs of single callers are cached."""

Key = tuple[str, bytes]
"""A server and the keyed hash of credentials."""


@dataclass(slots=True, eq=False)
class OverlayEntry:
    """The listing of one server for certain credentials.

    `listing` is None until the server has answered. `used` is when it was last used, on the event loop's clock,
    `fetched` when the server was listed, in seconds since the epoch. `clients` are the clients that have seen it.
    """

    used: float
    state: ServerState = field(default_factory=lambda: ServerState(State.STARTING))
    listing: Listing | None = None
    clients: set[str] = field(default_factory=set)
    fetched: float = 0.0


@dataclass(frozen=True, slots=True)
class CallerCatalog:
    """The catalog and the server states that one caller sees.

    `states` has only the servers that have a listing of their own for this caller.
    """

    catalog: Catalog
    states: Mapping[str, ServerState] = field(default_factory=dict)


class RefreshRecord(Protocol):
    """The part of the refresh scheduler that overlays use."""

    def is_running(self, key: Key) -> bool:
        """Whether a refresh of a key is in progress."""
        ...

    def forget(self, key: Key) -> None:
        """Forget a key."""
        ...


@dataclass(slots=True)
class Overlays:
    """Store of overlay entries; unused ones expire after `idle` seconds.

    An entry does not expire during its refresh. When it is dropped, `refreshes` forgets its key. `latest` has the
    newest listing of each server.
    """

    registry: Registry
    idle: float
    refreshes: RefreshRecord
    latest: dict[str, Listing] = field(default_factory=dict, repr=False)
    # Random per process: from an unkeyed hash weak credentials could be guessed.
    _key: bytes = field(default_factory=lambda: os.urandom(32), repr=False)
    _held: dict[Key, OverlayEntry] = field(default_factory=dict, repr=False)
    _views: LRUCache[tuple[Key, ...], tuple[Catalog, tuple[Listing, ...], Catalog]] = field(
        default_factory=lambda: LRUCache(MAX_VIEWS), repr=False
    )

    def __bool__(self) -> bool:
        """Whether there is any entry."""
        return bool(self._held)

    def key(self, server: str, credentials: Credentials) -> Key:
        """Return the key of an entry: server and keyed credentials hash.

        The credentials cannot be recovered from the hash.
        """
        serialized = repr(credentials.pairs)  # quoted, so no value can imitate a separator
        return server, blake2b(serialized.encode("utf-8", "surrogatepass"), key=self._key, digest_size=16).digest()

    def has(self, key: Key) -> bool:
        """Whether there is an entry for a key."""
        return key in self._held

    def forget_client(self, client: str) -> None:
        """Remove a client that has left from all entries."""
        for held in self._held.values():
            held.clients.discard(client)

    def forget_servers(self, servers: Collection[str]) -> None:
        """Drop all entries of servers that were removed or reconfigured."""
        for key in [key for key in self._held if key[0] in servers]:
            self._drop(key)
        for server in servers:
            self.latest.pop(server, None)
        self._views.clear()

    def admit_again(self) -> None:
        """Apply name reservations again after a configuration change.

        Other servers are configured now, and their names are reserved.
        """
        for held in self._held.values():
            if held.listing is not None:
                held.listing = self.registry.admission.admit(held.listing)
        self.latest = {server: self.registry.admission.admit(listing) for server, listing in self.latest.items()}
        self._views.clear()

    def entry(self, key: Key) -> OverlayEntry:
        """Return the entry of a key, marking it as used.

        An entry that is missing or has expired is created.
        """
        now = time.monotonic()
        found = self._held.pop(key, None)
        if found is None or (now - found.used > self.idle and not self.refreshes.is_running(key)):
            self.refreshes.forget(key)
            self._tidy(now)
            found = OverlayEntry(now)
        found.used = now
        self._held[key] = found  # re-inserted at the end: the dict is in the order of use
        return found

    def put(self, key: Key, listing: Listing) -> Listing | None:
        """Store a listing; return the previous one, if any.

        Most servers list the same for most callers, so equal listings share one copy.
        """
        listing = self.registry.admission.admit(listing)
        held, latest = self.entry(key), self.latest.get(listing.server)
        held.fetched = listing.fetched
        if (
            latest is not None
            and latest == listing
            and (latest.initialize_result, latest.client_capabilities)
            == (listing.initialize_result, listing.client_capabilities)
        ):
            listing = latest
        before, held.listing, held.state = held.listing, listing, ServerState(State.READY)
        self.latest[listing.server] = listing
        return before

    def listing(self, server: str, credentials: Credentials) -> Listing | None:
        """Return a server's listing for these credentials, if known."""
        held, now = self._held.get(self.key(server, credentials)), time.monotonic()
        if held is None or now - held.used > self.idle:
            return None
        held.used = now
        return held.listing

    def any_listing_with(self, name: str) -> Listing | None:
        """Return any listing that has a tool of this name.

        A tool has the same full name for all callers.
        """
        return next((listing for listing in self._listings() if listing.tool_name(name) is not None), None)

    def view(self, keys: Mapping[str, Key]) -> CallerCatalog:
        """Return the catalog of a caller with these keys, by server."""
        mine = {server: self._held[key] for server, key in keys.items() if key in self._held}
        listings = {server: held.listing for server, held in mine.items() if held.listing is not None}
        states = {server: held.state for server, held in mine.items()}
        shared = self.registry.catalog
        if not listings:
            return CallerCatalog(shared, states)
        cached = tuple(keys[server] for server in listings)
        before = self._views.get(cached)
        if before is None or before[0] is not shared or list(map(id, before[1])) != list(map(id, listings.values())):
            before = shared, tuple(listings.values()), shared.with_overlay(listings, list(self.registry.specs))
            self._views[cached] = before
        return CallerCatalog(before[2], states)

    def _listings(self) -> Iterator[Listing]:
        return (held.listing for held in self._held.values() if held.listing is not None)

    def _tidy(self, now: float) -> None:
        """Drop expired entries, and one more if the store is full."""
        waiting = {key: held for key, held in self._held.items() if not self.refreshes.is_running(key)}
        old = [key for key, held in waiting.items() if now - held.used > self.idle]
        if len(self._held) - len(old) >= MAX_HELD:
            # In the order of use, so the first is the least recently used.
            kept = [key for key in waiting if key not in old]
            old += sorted(kept, key=lambda key: waiting[key].listing is not None)[:1]
        for key in old:
            self._drop(key)
        gone = set(old)
        for keys in [keys for keys in self._views if not gone.isdisjoint(keys)]:
            del self._views[keys]

    def _drop(self, key: Key) -> None:
        del self._held[key]
        self.refreshes.forget(key)
