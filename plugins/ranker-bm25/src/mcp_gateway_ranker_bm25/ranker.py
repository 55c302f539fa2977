"""The ranker: analyses each server's tools once, and merges them into an index, both in a thread."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio.to_thread

from mcp_gateway.plugin import Document, Hits, Query, Ranker, RankerIndex
from mcp_gateway_ranker_bm25.aliases import Aliases, aliases_of
from mcp_gateway_ranker_bm25.fields import Section, section
from mcp_gateway_ranker_bm25.index import WordIndex
from mcp_gateway_ranker_bm25.merging import merged


@dataclass(frozen=True, slots=True)
class Bm25Index:
    """An index, with the sections that the next one is made of. It never changes."""

    sections: Mapping[str, Section]
    words: WordIndex

    async def search(self, query: Query) -> Hits:
        """Return the tools that match, best first; a query takes less than a millisecond, so it stays on the loop."""
        return self.words.find(query)

    async def refresh(self, changed: Mapping[str, Sequence[Document]]) -> RankerIndex:
        """Return an index in which the tools of these servers are replaced; the others are not analysed again."""
        return await anyio.to_thread.run_sync(_refreshed, self, dict(changed))


@dataclass(frozen=True, slots=True)
class Bm25Ranker:
    """Builds indexes."""

    aliases: Aliases = field(repr=False)

    async def build(self, documents: Sequence[Document]) -> RankerIndex:
        """Index `documents` in a thread: ten thousand tools take a second or two."""
        return await anyio.to_thread.run_sync(_built, tuple(documents), self.aliases)


@asynccontextmanager
async def open_bm25(aliases: str) -> AsyncIterator[Ranker]:
    """Open the ranker."""
    yield Bm25Ranker(aliases_of(aliases))


def _built(documents: Sequence[Document], aliases: Aliases) -> Bm25Index:
    by_server: dict[str, list[Document]] = {}
    for document in documents:
        by_server.setdefault(document.server, []).append(document)
    return _indexed({server: section(server, found) for server, found in by_server.items()}, aliases)


def _refreshed(index: Bm25Index, changed: Mapping[str, Sequence[Document]]) -> Bm25Index:
    kept = {server: held for server, held in index.sections.items() if server not in changed}
    new = {server: section(server, documents) for server, documents in changed.items() if documents}
    return _indexed({**kept, **new}, index.words.aliases)


def _indexed(sections: Mapping[str, Section], aliases: Aliases) -> Bm25Index:
    return Bm25Index(sections, WordIndex(merged(tuple(sections.values())), aliases))
