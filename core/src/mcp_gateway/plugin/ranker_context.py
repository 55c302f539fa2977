"""Context of a ranker: the other rankers and a storage."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from mcp_gateway.plugin.errors import PluginError
from mcp_gateway.plugin.hookspecs import API_VERSION, PROJECT
from mcp_gateway.plugin.provider import Bound

if TYPE_CHECKING:
    from mcp_gateway.plugin.ranker import Ranker
    from mcp_gateway.plugin.storage import StorageBackend


@dataclass(frozen=True)
class RankerContext:
    """Resources of the gateway for a ranker.

    `storage` is a part of the gateway's storage that belongs to this ranker alone. Its content may vanish at any time,
    and every method may raise `StorageError`. `rankers` are the other rankers by name, with validated options.
    """

    storage: StorageBackend
    rankers: Mapping[str, Bound[Ranker]]

    @asynccontextmanager
    async def ranker(self, name: str) -> AsyncIterator[Ranker]:
        """Open another ranker for the duration of the block.

        The instance is not shared with the gateway.

        Raises:
            PluginError: there is no such ranker; one that already uses this one does not count.

        """
        if name not in self.rankers:
            raise PluginError(
                f"there is no ranker {name!r} to stack on; there is: {', '.join(sorted(self.rankers)) or 'none'}"
            )
        others = {other: bound for other, bound in self.rankers.items() if other != name}
        async with self.rankers[name].open_in(RankerContext(self.storage, others)) as ranker:
            yield ranker

    @classmethod
    def from_installed(cls, *, exclude: str = "") -> RankerContext:
        """Return a context for use without a gateway, such as in tests.

        It has the installed rankers except `exclude`, with options from the environment, and a storage in memory.
        """
        providers = [
            provider
            for point in entry_points(group=PROJECT)
            if point.name.startswith("ranker-") and getattr(module := point.load(), "GATEWAY_API", None) == API_VERSION
            for provider in module.mcp_gateway_rankers()
        ]
        return cls(_MemoryStorage(), {item.name: item.bind(os.environ) for item in providers if item.name != exclude})


@dataclass(frozen=True, slots=True)
class _MemoryStorage:
    """A storage backend in memory, with expiry on the monotonic clock."""

    _items: dict[str, tuple[bytes, float]] = field(default_factory=dict)

    async def get(self, key: str) -> bytes | None:
        value, until = self._items.get(key, (None, 0.0))
        return value if until > time.monotonic() else None

    async def set(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        self._items[key] = (value, float("inf") if ttl is None else time.monotonic() + ttl)

    async def delete(self, key: str) -> bool:
        return self._items.pop(key, None) is not None

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        for key in list(self._items):
            if key.startswith(prefix) and await self.get(key) is not None:
                yield key
