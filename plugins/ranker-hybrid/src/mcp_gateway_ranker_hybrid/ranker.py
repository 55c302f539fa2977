"""Hybrid ranker that adds embeddings to another ranker's index.

Indexes are built in the background.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from mcp_gateway.plugin import (
    Document,
    Hits,
    PluginError,
    Query,
    Ranker,
    RankerContext,
    RankerIndex,
    RefreshableIndex,
    StorageBackend,
)
from mcp_gateway_ranker_hybrid.texts import hash_of, passage_of

if TYPE_CHECKING:  # numpy is slow to import, and no handshake needs it
    from mcp_gateway_ranker_hybrid.index import HybridSearch
    from mcp_gateway_ranker_hybrid.vectors import EmbeddingCache

log = logging.getLogger(__name__)

_HINT = "tools are ranked by words only; install mcp-gateway-ranker-hybrid again"
MEANWHILE = "ranked by words only: the meaning of the tools is still being computed"


@dataclass(frozen=True, slots=True)
class HybridIndex:
    """An immutable hybrid index, with the inputs of the next one."""

    ranker: HybridRanker
    documents: Mapping[str, tuple[Document, ...]]
    words: RankerIndex
    hybrid_search: HybridSearch | None

    async def search(self, query: Query) -> Hits:
        """Return the best tools, by words only without a model."""
        return await (self.hybrid_search or self.words).search(query)

    async def refresh(self, changed: Mapping[str, Sequence[Document]]) -> RankerIndex:
        """Return an index with the tools of some servers replaced.

        The embeddings of the other servers stay.
        """
        kept = {server: held for server, held in self.documents.items() if server not in changed}
        new = {server: tuple(held) for server, held in changed.items() if held}
        documents = {**kept, **new}
        if isinstance(self.words, RefreshableIndex):
            words = await self.words.refresh(changed)
        else:
            words = await self.ranker.words.build(_flatten(documents))
        return await self.ranker.add_vectors(documents, words)


@dataclass(frozen=True, slots=True)
class InterimIndex:
    """A lexical index, used until the embeddings are computed."""

    words: RankerIndex

    async def search(self, query: Query) -> Hits:
        """Return the best tools by words, with a hint that says so."""
        found = await self.words.search(query)
        return replace(found, hints=(*found.hints, MEANWHILE))


@dataclass(slots=True)
class HybridRanker:
    """Builder of indexes on top of those of the ranker `words`."""

    words: Ranker
    storage: StorageBackend = field(repr=False)
    _vectors: EmbeddingCache | None = field(default=None, repr=False)
    _is_model_missing: bool = False
    _loading: anyio.Lock = field(default_factory=anyio.Lock, repr=False)

    async def build(self, documents: Sequence[Document]) -> RankerIndex:
        """Index `documents` lexically and by their embeddings.

        It takes some ten milliseconds for each document, unless its embedding is in memory or in storage.
        """
        by_server: dict[str, list[Document]] = {}
        for document in documents:
            by_server.setdefault(document.server, []).append(document)
        held = {server: tuple(found) for server, found in by_server.items()}
        return await self.add_vectors(held, await self.words.build(_flatten(held)))

    async def build_interim(self, documents: Sequence[Document]) -> RankerIndex:
        """Index `documents` lexically only."""
        words = await self.words.build(documents)
        return words if self._is_model_missing else InterimIndex(words)

    async def add_vectors(self, documents: Mapping[str, tuple[Document, ...]], words: RankerIndex) -> HybridIndex:
        """Add the embeddings of `documents` to a lexical index."""
        vectors = await self._load_vectors()
        if vectors is None:
            return HybridIndex(self, documents, words, None)
        from mcp_gateway_ranker_hybrid.index import HybridSearch, build_matrix

        flat = _flatten(documents)
        hashes, texts = await anyio.to_thread.run_sync(_passages_by_hash, flat)
        found = await vectors.embed(texts)
        vectors.retain(found)
        tools = await anyio.to_thread.run_sync(build_matrix, flat, hashes, found)
        return HybridIndex(self, documents, words, HybridSearch(words, tools, vectors.model))

    async def _load_vectors(self) -> EmbeddingCache | None:
        """Load the model once; warn once without it.

        Without a model the ranker works lexically only.
        """
        async with self._loading:
            if self._vectors is None and not self._is_model_missing:
                try:
                    self._vectors = await anyio.to_thread.run_sync(_open_cache, self.storage)
                except (ImportError, OSError) as error:
                    self._is_model_missing = True
                    log.warning("model unavailable", extra={"reason": str(error), "hint": _HINT})
            return self._vectors


@asynccontextmanager
async def open_hybrid(words: str, context: RankerContext) -> AsyncIterator[Ranker]:
    """Open the ranker and the lexical one that it uses."""
    if words not in context.rankers:
        there = ", ".join(sorted(context.rankers)) or "none"
        raise PluginError(
            f"environment: GATEWAY_HYBRID_WORDS: no ranker to add to is called {words!r}; there is: {there}"
        )
    async with context.ranker(words) as ranker:
        yield HybridRanker(ranker, context.storage)


def _open_cache(storage: StorageBackend) -> EmbeddingCache:
    from mcp_gateway_ranker_hybrid.model import load_model
    from mcp_gateway_ranker_hybrid.vectors import EmbeddingCache

    return EmbeddingCache(load_model(), storage)


def _flatten(documents: Mapping[str, tuple[Document, ...]]) -> list[Document]:
    return [document for held in documents.values() for document in held]


def _passages_by_hash(documents: Sequence[Document]) -> tuple[list[str], dict[str, str]]:
    """Return the hash of each document's text, and texts by hash."""
    texts = [passage_of(document) for document in documents]
    hashes = [hash_of(text) for text in texts]
    return hashes, dict(zip(hashes, texts, strict=True))
