"""Exchange of listings between the registry, storage and replicas.

A replica adopts a listing that another one has saved, instead of listing the server itself.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from mcp_gateway.catalog.listing import Listing
from mcp_gateway.catalog.registry import Registry
from mcp_gateway.catalog.server_health import State
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.pinning.policy import Pinning
from mcp_gateway.protocol.capabilities import widens
from mcp_gateway.storage.listings import ListingStore, ListingVersion, Stored, identity
from mcp_gateway.storage.replica_coordination import Replicas

log = structlog.get_logger(__name__)

Capabilities = Mapping[str, Any]
"""The client capabilities that a server would be given here: with fewer ones it may have listed less."""


@dataclass(slots=True)
class ReplicatedCatalog:
    """Synchronizer of listings between registry and storage.

    `_stamps` are the versions of the listings in the registry.
    """

    registry: Registry
    definitions: ListingStore
    replicas: Replicas
    pinning: Pinning
    _stamps: dict[str, ListingVersion] = field(default_factory=dict)

    def is_fresh(self, known: Listing | ListingVersion) -> bool:
        """Whether a listing is recent enough to be used as it is."""
        return known.age < self.definitions.ttl

    def forget(self, server: str) -> None:
        """Drop the version of a server that was reconfigured or removed."""
        self._stamps.pop(server, None)

    async def publish(self, spec: ServerSpec, listing: Listing, admitted: Listing, turn: str = "") -> None:
        """Publish a listing to registry, storage and replicas.

        The registry gets the `admitted` part, storage the whole.
        """
        self.registry.put(admitted)
        in_force = self.registry.catalog.servers[spec.name]
        stamp = await self.definitions.save(spec, listing, turn)
        if self.registry.catalog.servers.get(spec.name) is in_force:  # not restricted or replaced meanwhile
            self._stamps[spec.name] = stamp
        await self.replicas.publish(identity(spec), stamp)

    async def load_fresh(self, spec: ServerSpec, capabilities: Capabilities) -> bool:
        """Load a fresh listing from storage; return whether there was one.

        A stale listing is put into the registry in the meantime.
        """
        if spec.name in self.registry.catalog.servers:
            return await self._adopt_version(spec, capabilities, await self.definitions.load_version(spec))
        stored = await self.definitions.load(spec)
        if await self._adopt(spec, capabilities, stored):
            return True
        if stored is not None and spec.name not in self.registry.catalog.servers:
            admitted = await self.pinning.admit(spec, stored.listing)
            if self.registry.is_current(spec) and spec.name not in self.registry.catalog.servers:
                self.registry.put(admitted, State.STARTING)
        return False

    async def load_update(self, spec: ServerSpec, capabilities: Capabilities) -> bool:
        """Load another replica's listing; return whether listing is still necessary.

        It is if the saved listing cannot be adopted here. A listing that is already known is not loaded again.
        """
        stamp = await self.definitions.load_version(spec)
        if stamp is None or not self.is_fresh(stamp) or not self.registry.is_current(spec):
            return False
        return not await self._adopt_version(spec, capabilities, stamp)

    def confirm(self, spec: ServerSpec, capabilities: Capabilities, stamp: ListingVersion) -> bool:
        """Confirm a known listing by its version; return whether it matches."""
        listing, known = self.registry.catalog.servers.get(spec.name), self._stamps.get(spec.name)
        if listing is None or known is None or known.digest != stamp.digest:
            return False
        if listing.withheld or widens(
            capabilities, listing.client_capabilities
        ):  # withheld tools may be approved by now; with more capabilities it may list more
            return False
        self._stamps[spec.name] = stamp
        self.registry.put(replace(listing, fetched=max(listing.fetched, min(stamp.fetched, time.time()))))
        return True

    @asynccontextmanager
    async def listing_lease(self, spec: ServerSpec, capabilities: Capabilities) -> AsyncIterator[str | None]:
        """Acquire the lease to list a server.

        Yields None if another replica has listed the server meanwhile.
        """

        async def is_done(_: str) -> bool:
            return await self._adopt_version(spec, capabilities, await self.definitions.load_version(spec))

        async with self.replicas.listing_lease(identity(spec), is_done) as turn:
            yield turn

    @asynccontextmanager
    async def lease_after_change(self, spec: ServerSpec, capabilities: Capabilities) -> AsyncIterator[str | None]:
        """Acquire the lease to list a changed server.

        Yields None if another replica has listed the server since the change.
        """
        before = await self.definitions.load_version(spec)

        async def is_done(first: str) -> bool:
            stamp = await self.definitions.load_version(spec) if first else None
            if stamp is None or stamp.turn in {"", before and before.turn}:
                return False
            taken = await self._adopt_version(spec, capabilities, stamp)
            return taken and stamp.turn != first  # that lease was taken before the change: its listing may be too old

        async with self.replicas.listing_lease(identity(spec), is_done) as turn:
            yield turn

    async def _adopt_version(self, spec: ServerSpec, capabilities: Capabilities, stamp: ListingVersion | None) -> bool:
        """Adopt the listing of a fresh version; return success.

        The listing is loaded only if it differs from the known one.
        """
        if stamp is None or not self.is_fresh(stamp) or not self.registry.is_current(spec):
            return False
        if self.confirm(spec, capabilities, stamp):
            return True
        return await self._adopt(spec, capabilities, await self.definitions.load(spec))

    async def _adopt(self, spec: ServerSpec, capabilities: Capabilities, stored: Stored | None) -> bool:
        """Put a fresh stored listing into the registry; return success.

        It is not adopted if the server was given fewer capabilities than it would get here.
        """
        if (
            stored is None
            or not self.is_fresh(stored.stamp)
            or widens(capabilities, stored.listing.client_capabilities)
        ):
            return False
        admitted = await self.pinning.admit(spec, stored.listing)
        if not self.registry.is_current(spec):
            return False
        self._stamps[spec.name] = stored.stamp
        self.registry.put(admitted)
        log.info("definitions loaded from storage", server=spec.name, tools=len(stored.listing.tools))
        return True
