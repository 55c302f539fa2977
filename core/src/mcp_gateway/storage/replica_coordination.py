"""Replica coordination over shared storage.

One replica lists a server and publishes the result to the others.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from functools import partial

import anyio
import structlog
from anyio.abc import TaskGroup

from mcp_gateway.plugin import LeaseStorage, PubSubStorage
from mcp_gateway.runtime.backoff import Backoff
from mcp_gateway.runtime.events import GatewayEvents
from mcp_gateway.storage.listings import PREFIX, ListingVersion, read_stamp
from mcp_gateway.storage.resilient import ResilientStorage, safe_reason

log = structlog.get_logger(__name__)

CHANNEL = f"{PREFIX}news"
"""The channel on which replicas announce stored listings."""

LEASE_SECONDS, PROLONG_SECONDS = 10.0, 2.5
"""How long a lease lasts without renewal; how often its holder renews it."""

WAIT_SECONDS = 45.0
"""How long others wait for the holder before they list the server themselves; most servers need less."""

LOOK_SECONDS = 1.0
"""How long they wait for an announcement before they check the lease again."""

RETRY_SECONDS = 1.0
"""How long to wait before resubscribing after a failure; jitter adds up to half of it."""


@dataclass(slots=True)
class Replicas:
    """Coordination with the other replicas.

    If the storage supports neither leases nor publish/subscribe, every replica lists the servers itself, and sees
    listings of other replicas only when its own are stale.
    """

    resilient: ResilientStorage
    tasks: TaskGroup
    events: GatewayEvents
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    _waiting: dict[str, anyio.Event] = field(default_factory=dict)

    def start(self) -> None:
        """Subscribe to announcements of other replicas, if supported."""
        if isinstance(self.resilient.storage, PubSubStorage):
            self.tasks.start_soon(self._listen, self.resilient.storage)

    async def publish(self, server: str, stamp: ListingVersion) -> None:
        """Announce the version of a stored listing.

        `server` is the server's identity among gateways that share storage.
        """
        storage = self.resilient.storage
        if isinstance(storage, PubSubStorage):
            message = json.dumps({"from": self.name, "server": server, **asdict(stamp)}).encode()
            await self.resilient.call_or_default(partial(storage.publish, CHANNEL, message), None)

    @asynccontextmanager
    async def listing_lease(self, server: str, done: Callable[[str], Awaitable[bool]]) -> AsyncIterator[str | None]:
        """Acquire the lease for listing a server; yield its name.

        It yields None if another replica has listed the server meanwhile.

        `done` is called to check that, with the name of the first lease that was waited for, which was acquired before
        this call. The wait is at most `WAIT_SECONDS`, because the holder may have died, and so may the storage.
        """
        storage, turn, key = self.resilient.storage, uuid.uuid4().hex, f"{PREFIX}lease:{server}"
        if not isinstance(storage, LeaseStorage):
            yield turn
            return
        if not await self._mine(storage, key, turn, server, done):
            yield None
            return
        kept = anyio.CancelScope()
        self.tasks.start_soon(self._prolong, storage, key, turn, kept)
        try:
            yield turn
        finally:
            kept.cancel()
            await self._release(storage, key, turn)

    async def _mine(
        self, storage: LeaseStorage, key: str, turn: str, server: str, done: Callable[[str], Awaitable[bool]]
    ) -> bool:
        first = ""
        with anyio.move_on_after(WAIT_SECONDS):
            while (holder := await self._lease(storage, key, turn)) != turn:
                first = first or holder
                news = self._waiting.setdefault(server, anyio.Event())
                with anyio.move_on_after(LOOK_SECONDS):
                    await news.wait()
                if await done(first):
                    return False
            # The previous holder may have finished between the last check and the acquisition.
            if await done(first):
                await self._release(storage, key, turn)
                return False
        return True

    async def _lease(self, storage: LeaseStorage, key: str, turn: str) -> str:
        """Acquire or extend the lease; return its holder.

        If the storage fails, this replica counts as the holder and proceeds.
        """
        lease = partial(storage.lease, key, turn.encode(), ttl=LEASE_SECONDS)
        return (await self.resilient.call_or_default(lease, turn.encode())).decode(errors="replace")

    async def _prolong(self, storage: LeaseStorage, key: str, turn: str, kept: anyio.CancelScope) -> None:
        with kept:
            while True:
                await anyio.sleep(PROLONG_SECONDS)
                await self._lease(storage, key, turn)

    async def _release(self, storage: LeaseStorage, key: str, turn: str) -> None:
        # Shielded, as it also runs on cancellation, but not for long: an unreleased lease expires by itself.
        with anyio.move_on_after(1, shield=True):
            await self.resilient.call_or_default(partial(storage.release, key, turn.encode()), default=False)

    async def _listen(self, storage: PubSubStorage) -> None:
        """Receive updates of other replicas, resubscribing after failures."""
        failures, backoff = 0, Backoff(RETRY_SECONDS, RETRY_SECONDS, jitter=(1.0, 1.5))
        while True:
            try:
                async with storage.subscribe(CHANNEL) as messages:
                    if failures > 1:
                        log.info("replica updates resumed")
                    failures = 0
                    self.resilient.record_success()
                    # Announcements before this subscription were missed.
                    self.events.replica_gap.emit()
                    async for message in messages:
                        self._hear(message)
            except Exception as error:  # noqa: BLE001  # a border with foreign code: it must not end the gateway
                failures = await self._on_listen_failure(storage, error, failures)
            await anyio.sleep(backoff.next_delay())

    async def _on_listen_failure(self, storage: PubSubStorage, error: Exception, failures: int) -> int:
        """Handle a lost subscription; return the number of failures.

        A failure of the whole storage is logged by `ResilientStorage`; otherwise the second failure is logged here.
        """
        if not await self.resilient.call_or_default(partial(_answers, storage), default=False):
            return failures
        if failures == 1:
            log.warning("replica updates lost", reason=safe_reason(error))
        return failures + 1

    def _hear(self, message: bytes) -> None:
        stamp = read_stamp(message)
        payload = json.loads(message) if stamp else {}
        if stamp is None or payload.get("from") == self.name:
            return
        server = str(payload.get("server"))
        if waiting := self._waiting.pop(server, None):
            waiting.set()
        self.events.replica_update.emit(server, stamp)


async def _answers(storage: PubSubStorage) -> bool:
    await storage.get(f"{PREFIX}nothing")
    return True
