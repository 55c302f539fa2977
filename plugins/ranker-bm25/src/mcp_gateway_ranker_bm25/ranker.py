"""The ranker itself: rank-bm25's Okapi over each tool's terms."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
import numpy as np
from rank_bm25 import BM25Okapi

from mcp_gateway.plugin import Document, Hit, Hits, Query, Ranker, RankerIndex
from mcp_gateway_ranker_bm25.analyser import terms

_NAME_TIMES = 3
"""How often a tool's name counts among its terms: it says most in the fewest words."""


class _Okapi(BM25Okapi):  # type: ignore[misc]  # rank_bm25 has no types
    """Okapi with an idf that is positive in any catalogue, however small (Lucene's)."""

    def _calc_idf(self, frequencies: dict[str, int]) -> None:
        self.idf = {
            term: math.log(1 + (self.corpus_size - count + 0.5) / (count + 0.5)) for term, count in frequencies.items()
        }


@dataclass(frozen=True, slots=True)
class Bm25Index:
    """The model over every tool's terms, in the order of `ids`."""

    ids: tuple[str, ...]
    model: Any

    async def search(self, query: Query) -> Hits:
        """Return the tools that have a term of the query, best first."""
        asked = [term for term in Counter(terms(query.text)) if self.model is not None and term in self.model.idf]
        if not asked:
            return Hits()
        return await anyio.to_thread.run_sync(self._search, asked, query.limit)

    def _search(self, asked: list[str], limit: int) -> Hits:
        scores = np.asarray(self.model.get_scores(asked))
        matching = np.flatnonzero(scores > 0)
        best = sorted(matching, key=lambda at: (-scores[at], self.ids[at]))[:limit]
        return Hits(hits=tuple(Hit(id=self.ids[at], score=float(scores[at])) for at in best), total=len(matching))


class Bm25Ranker:
    """Builds indexes."""

    async def build(self, documents: Sequence[Document]) -> RankerIndex:
        """Index `documents` in a thread: a thousand tools take a tenth of a second."""
        return await anyio.to_thread.run_sync(_index, tuple(documents))


@asynccontextmanager
async def open_bm25() -> AsyncIterator[Ranker]:
    """Open the ranker."""
    yield Bm25Ranker()


def _index(documents: tuple[Document, ...]) -> Bm25Index:
    bags = [_bag(document) for document in documents]
    return Bm25Index(tuple(document.id for document in documents), _Okapi(bags) if any(bags) else None)


def _bag(document: Document) -> list[str]:
    """Return a tool's terms: the words of its name several times, all others as often as they stand there."""
    arguments = (f"{parameter.name} {parameter.text}" for parameter in document.parameters)
    named = terms(f"{document.name} {document.title}") * _NAME_TIMES
    return [*named, *terms(document.server), *terms(document.description), *terms(" ".join(arguments))]
