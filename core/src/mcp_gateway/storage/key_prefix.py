"""A prefixed part of the storage for one plugin.

No other plugin sees its keys.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

from mcp_gateway.plugin import StorageBackend
from mcp_gateway.storage.resilient import ResilientStorage

PREFIX = "mcp-gateway:2:ranker:"
"""The prefix of every key of a ranker, before its name."""


@dataclass(frozen=True, slots=True)
class PrefixedStorage:
    """A storage backend that prepends `prefix` to every key of another."""

    storage: StorageBackend
    prefix: str
    resilient: ResilientStorage

    async def get(self, key: str) -> bytes | None:
        """Return the value of `key`, or None."""
        return await self.resilient.call(partial(self.storage.get, self.prefix + key))

    async def set(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        """Store `value` under `key` for `ttl` seconds, or without expiry."""
        await self.resilient.call(partial(self.storage.set, self.prefix + key, value, ttl=ttl))

    async def delete(self, key: str) -> bool:
        """Delete `key`; return whether it was there."""
        return await self.resilient.call(partial(self.storage.delete, self.prefix + key))

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        """Iterate over the keys of this part, without its prefix."""
        async for key in self.storage.keys(self.prefix + prefix):
            yield key.removeprefix(self.prefix)
