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
"""Where replicas tell each other what they learned."""

LEASE_SECONDS, PROLONG_SECONDS = 10.0, 2.5
"""How long a turn lasts if its holder is gone; how often a holder that is not says so."""

WAIT_SECONDS = 45.0
"""How long others wait for a holder that is there before they ask by themselves: longer than most servers take."""

LOOK_SECONDS = 1.0
"""How long they wait for news before they look whether the turn is over."""

RETRY_SECONDS = 1.0
"""How long to wait before listening again when that failed; half as long again at most, for not all at once."""


@dataclass(slots=True)
class Replicas:
    """Coordination with the other replicas.

    Where the storage cannot lend or announce, everybody asks, and sees what others saved
    when what it knows has grown old.
    """

    resilient: ResilientStorage
    tasks: TaskGroup
    events: GatewayEvents
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    _waiting: dict[str, anyio.Event] = field(default_factory=dict)

    def start(self) -> None:
        """Begin to listen."""
        if isinstance(self.resilient.storage, PubSubStorage):
            self.tasks.start_soon(self._listen, self.resilient.storage)

    async def publish(self, server: str, stamp: ListingVersion) -> None:
        """Publish the version of a listing that was stored.

        `server` is the identity among gateways that share storage.
        """
        storage = self.resilient.storage
        if isinstance(storage, PubSubStorage):
            message = json.dumps({"from": self.name, "server": server, **asdict(stamp)}).encode()
            await self.resilient.call_or_default(partial(storage.publish, CHANNEL, message), None)

    @asynccontextmanager
    async def listing_lease(self, server: str, done: Callable[[str], Awaitable[bool]]) -> AsyncIterator[str | None]:
        """Take the lease for listing a server; yield its name.

        Yields None if another replica has done the work meanwhile.

        `done` is called when others may have done it, with the name of the first turn that
        was waited for, which had begun before. Nobody waits for long: whoever holds the turn
        may be gone, and so may the storage.
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
            # Whoever had the turn before may have finished between our last look and the lease.
            if await done(first):
                await self._release(storage, key, turn)
                return False
        return True

    async def _lease(self, storage: LeaseStorage, key: str, turn: str) -> str:
        """Acquire or extend the lease; return its holder.

        If the storage fails, the holder is this replica, which may go ahead.
        """
        lease = partial(storage.lease, key, turn.encode(), ttl=LEASE_SECONDS)
        return (await self.resilient.call_or_default(lease, turn.encode())).decode(errors="replace")

    async def _prolong(self, storage: LeaseStorage, key: str, turn: str, kept: anyio.CancelScope) -> None:
        with kept:
            while True:
                await anyio.sleep(PROLONG_SECONDS)
                await self._lease(storage, key, turn)

    async def _release(self, storage: LeaseStorage, key: str, turn: str) -> None:
        # It also runs when the turn is cancelled; a lease that is not given back ends by itself.
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
                    # What others said before this subscription was heard by nobody here.
                    self.events.replica_gap.emit()
                    async for message in messages:
                        self._hear(message)
            except Exception as error:  # noqa: BLE001  # a border with foreign code: it must not end the gateway
                failures = await self._on_listen_failure(storage, error, failures)
            await anyio.sleep(backoff.next_delay())

    async def _on_listen_failure(self, storage: PubSubStorage, error: Exception, failures: int) -> int:
        """Handle a lost subscription; return the number of failures.

        If the storage as a whole fails, that is warned of elsewhere; else the second failure is warned of.
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
