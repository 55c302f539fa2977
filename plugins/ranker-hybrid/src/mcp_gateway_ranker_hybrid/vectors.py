"""Embedding cache in memory and storage, keyed by text hash.

An embedding is computed once for each text.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
import numpy as np
import numpy.typing as npt

from mcp_gateway.plugin import StorageBackend, StorageError
from mcp_gateway_ranker_hybrid.model import WIDTH, Model

log = logging.getLogger(__name__)

Vector = npt.NDArray[np.float16]

_AT_ONCE = 16
"""How many texts are computed, or looked up in storage, before others get their turn."""

_SECONDS_KEPT = 30 * 24 * 3600.0


@dataclass(slots=True)
class Vectors:
    """Embeddings by text hash, cached and stored.

    They are kept in memory and in storage. A failure of the storage is a warning, never an error.
    """

    model: Model
    storage: StorageBackend
    _known: Mapping[str, Vector] = field(default_factory=dict)
    _failing: bool = False

    async def of(self, texts: Mapping[str, str]) -> Mapping[str, Vector]:
        """Return the embeddings of texts by their hashes.

        Those neither in memory nor in storage are computed in a worker thread.
        """
        found = {key: self._known[key] for key in texts if key in self._known}
        for some in _portions(key for key in texts if key not in found):
            stored = await self._stored(some)
            found |= stored
            new = [key for key in some if key not in stored]
            made = await anyio.to_thread.run_sync(self._computed, [texts[key] for key in new])
            found |= zip(new, made, strict=True)
            self._known = {**self._known, **found}
            for key in new:
                await self._store(key, found[key])
        return found

    def keep(self, found: Mapping[str, Vector]) -> None:
        """Forget all others: they are of tools that are gone."""
        self._known = found

    def _computed(self, texts: list[str]) -> list[Vector]:
        return list(self.model.vectors(texts).astype(np.float16))

    async def _stored(self, keys: list[str]) -> dict[str, Vector]:
        found: dict[str, Vector] = {}

        async def look_up(key: str) -> None:
            value = await self.storage.get(self._name(key))
            if value is not None and len(value) == 2 * WIDTH:
                found[key] = np.frombuffer(value, "<f2")

        try:
            async with anyio.create_task_group() as tasks:
                for key in keys:
                    tasks.start_soon(look_up, key)
        except* StorageError as group:
            self._failed(group)
        return found

    async def _store(self, key: str, vector: Vector) -> None:
        if self._failing:
            return
        try:
            await self.storage.set(self._name(key), vector.astype("<f2").tobytes(), ttl=_SECONDS_KEPT)
        except StorageError as error:
            self._failed(error)

    def _name(self, key: str) -> str:
        return f"{self.model.name}:{key}"

    def _failed(self, _: BaseException) -> None:
        if not self._failing:
            log.warning("storage does not work; the vectors of tools are computed again at the next start")
        self._failing = True


def _portions(keys: Iterable[str]) -> list[list[str]]:
    every = list(keys)
    return [every[at : at + _AT_ONCE] for at in range(0, len(every), _AT_ONCE)]
