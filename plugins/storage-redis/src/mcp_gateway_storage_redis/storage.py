"""Redis storage backend, with leases and pub/sub."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from mcp_gateway.plugin import StorageBackend
from mcp_gateway_storage_redis.failures import storage_error, translate_errors
from mcp_gateway_storage_redis.options import RedisOptions
from mcp_gateway_storage_redis.places import SECONDS, Topology, open_place
from mcp_gateway_storage_redis.subscription import Subscription, open_subscription

CONNECTIONS = 32
"""How many connections there are; further requests wait for one, up to `SECONDS`."""

# Scripts are atomic: between two commands another replica could interfere.
LEASE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return holder end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
"""
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) else return 0 end"

ANNOUNCE = "return redis.call('PUBLISH', KEYS[1], ARGV[1])"
"""The channel is passed as a key, so that in a Cluster its messages go through one node and stay in order."""


@dataclass(frozen=True, slots=True)
class RedisStorage:
    """Storage with one Redis key per value or lease."""

    topology: Topology
    _connections: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(CONNECTIONS))

    async def get(self, key: str) -> bytes | None:
        """Return the value of `key`, or None."""
        async with self._connection_slot():
            value: bytes | None = await self.topology.client.get(key)
        return value

    async def set(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        """Store `value`; Redis expires it after `ttl` seconds."""
        async with self._connection_slot():
            await self.topology.client.set(key, value, px=None if ttl is None else _milliseconds(ttl))

    async def delete(self, key: str) -> bool:
        """Delete `key`; return whether it was there."""
        async with self._connection_slot():
            return bool(await self.topology.client.delete(key))

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        """Yield the live keys, each once.

        SCAN may repeat a key, so the keys are collected first.
        """
        async with self._connection_slot():
            found = {key async for key in self.topology.client.scan_iter(match=f"{_escape_glob(prefix)}*", count=1000)}
        for key in found:
            yield key.decode()

    async def lease(self, key: str, holder: bytes, *, ttl: float) -> bytes:
        """Acquire or renew a lease; return its holder.

        The holder is another one if the lease is taken.
        """
        async with self._connection_slot():
            holds: bytes = await self.topology.client.eval(LEASE, 1, key, holder, str(_milliseconds(ttl)))
        return holds

    async def release(self, key: str, holder: bytes) -> bool:
        """Release the lease if `holder` has it; return whether it did."""
        async with self._connection_slot():
            return bool(await self.topology.client.eval(RELEASE, 1, key, holder))

    async def publish(self, channel: str, message: bytes) -> None:
        """Publish a message to all subscribers."""
        async with self._connection_slot():
            await self.topology.client.eval(ANNOUNCE, 1, channel, message)

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Subscribe to a channel over a separate connection."""
        async with open_subscription(self.topology, channel) as subscription:
            yield _messages(subscription)

    @asynccontextmanager
    async def _connection_slot(self) -> AsyncIterator[None]:
        with translate_errors():
            try:
                with anyio.fail_after(SECONDS):
                    await self._connections.acquire()
            except TimeoutError:
                raise storage_error(f"no connection was free within {SECONDS:g} s") from None
            try:
                yield
            finally:
                self._connections.release()


@asynccontextmanager
async def open_redis(options: RedisOptions) -> AsyncIterator[StorageBackend]:
    """Open the storage with a Redis client.

    It connects when it is first used, and again after a lost connection.
    """
    async with open_place(options.url.get_secret_value()) as place:
        yield RedisStorage(place)


async def _messages(subscription: Subscription) -> AsyncIterator[bytes]:
    while True:
        with translate_errors():
            message = await subscription.next()
        yield message


def _milliseconds(seconds: float) -> int:
    # Redis rejects an expiry of 0.
    return max(1, round(seconds * 1000))


def _escape_glob(prefix: str) -> str:
    """Escape the special characters of Redis's glob patterns."""
    return "".join(f"\\{character}" if character in "*?[]^-\\" else character for character in prefix)
