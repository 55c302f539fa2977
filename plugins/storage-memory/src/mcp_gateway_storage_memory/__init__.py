"""Storage plugin: a dictionary in this process, lost when it ends."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from mcp_gateway.plugin import Options, Provider, StorageBackend, hookimpl

GATEWAY_API = 1


SWEEP_SECONDS = 60.0
"""The least interval of sweeps that remove expired items."""


@dataclass(slots=True)
class MemoryStorage:
    """In-memory storage: values by key, with expiry times.

    Expiry times are those of the monotonic clock.
    """

    _items: dict[str, tuple[bytes, float | None]] = field(default_factory=dict)
    _next_sweep: float = field(default_factory=time.monotonic)

    async def get(self, key: str) -> bytes | None:
        """Return the value of `key`, or None."""
        item = self._find_live(key)
        return item and item[0]

    async def set(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        """Store `value` for `ttl` seconds, or without expiry."""
        self._sweep()
        self._items[key] = (value, None if ttl is None else time.monotonic() + ttl)

    def _sweep(self) -> None:
        """Remove expired items now and then.

        Without this a key that is never read again would never be removed.
        """
        now = time.monotonic()
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_SECONDS
            self._items = {key: item for key, item in self._items.items() if item[1] is None or item[1] > now}

    async def delete(self, key: str) -> bool:
        """Delete `key`; return whether it was there."""
        found = self._find_live(key) is not None
        self._items.pop(key, None)
        return found

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        """Iterate over the live keys."""
        for key in list(self._items):
            if key.startswith(prefix) and self._find_live(key) is not None:
                yield key

    def _find_live(self, key: str) -> tuple[bytes, float | None] | None:
        item = self._items.get(key)
        if item is not None and item[1] is not None and item[1] <= time.monotonic():
            del self._items[key]
            return None
        return item


@asynccontextmanager
async def memory_storage(_: Options) -> AsyncIterator[StorageBackend]:
    """Open an empty storage."""
    yield MemoryStorage()


@hookimpl
def mcp_gateway_storage_backends() -> Iterator[Provider[Options, StorageBackend]]:
    """Yield `memory`."""
    yield Provider(name="memory", summary="in this process only", options=Options, build=memory_storage)
