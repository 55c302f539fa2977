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
from mcp_gateway_ranker_hybrid.model import WIDTH, SentenceEncoder

log = logging.getLogger(__name__)

Vector = npt.NDArray[np.float16]

_AT_ONCE = 16
"""How many texts are encoded, or looked up in storage, in one batch."""

# Tools come and go; embeddings that were not used for a month are computed again if needed.
_SECONDS_KEPT = 30 * 24 * 3600.0


@dataclass(slots=True)
class EmbeddingCache:
    """Embeddings by text hash, cached and stored.

    They are kept in memory and in storage. A failure of the storage is a warning, never an error.
    """

    model: SentenceEncoder
    storage: StorageBackend
    _embeddings: Mapping[str, Vector] = field(default_factory=dict)
    _is_storage_failing: bool = False

    async def embed(self, texts: Mapping[str, str]) -> Mapping[str, Vector]:
        """Return the embeddings of texts by their hashes.

        Those neither in memory nor in storage are computed in a worker thread.
        """
        found = {key: self._embeddings[key] for key in texts if key in self._embeddings}
        for some in _split_batches(key for key in texts if key not in found):
            stored = await self._load_stored(some)
            found |= stored
            new = [key for key in some if key not in stored]
            made = await anyio.to_thread.run_sync(self._compute, [texts[key] for key in new])
            found |= zip(new, made, strict=True)
            # After each batch, so that a concurrent build need not compute them again.
            self._embeddings = {**self._embeddings, **found}
            for key in new:
                await self._store(key, found[key])
        return found

    def retain(self, found: Mapping[str, Vector]) -> None:
        """Drop all other embeddings: their tools no longer exist."""
        self._embeddings = found

    def _compute(self, texts: list[str]) -> list[Vector]:
        return list(self.model.encode(texts).astype(np.float16))

    async def _load_stored(self, keys: list[str]) -> dict[str, Vector]:
        found: dict[str, Vector] = {}

        async def look_up(key: str) -> None:
            value = await self.storage.get(self._storage_key(key))
            # Two bytes per number; a value of another length was not written by this version.
            if value is not None and len(value) == 2 * WIDTH:
                found[key] = np.frombuffer(value, "<f2")

        try:
            async with anyio.create_task_group() as tasks:
                for key in keys:
                    tasks.start_soon(look_up, key)
        except* StorageError as group:
            self._on_storage_failure(group)
        return found

    async def _store(self, key: str, vector: Vector) -> None:
        # After one failure the rest is skipped, because each would wait for its timeout.
        if self._is_storage_failing:
            return
        try:
            await self.storage.set(self._storage_key(key), vector.astype("<f2").tobytes(), ttl=_SECONDS_KEPT)
        except StorageError as error:
            self._on_storage_failure(error)

    def _storage_key(self, key: str) -> str:
        return f"{self.model.name}:{key}"

    def _on_storage_failure(self, _: BaseException) -> None:
        if not self._is_storage_failing:
            log.warning(
                "vectors not stored", extra={"reason": "storage failed", "hint": "they are computed at each start"}
            )
        self._is_storage_failing = True


def _split_batches(keys: Iterable[str]) -> list[list[str]]:
    every = list(keys)
    return [every[at : at + _AT_ONCE] for at in range(0, len(every), _AT_ONCE)]
