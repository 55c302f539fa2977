"""Score fusion of lexical and semantic search.

The lexical scores are those of another ranker, the semantic ones cosine similarities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import anyio.to_thread
import numpy as np
import numpy.typing as npt

from mcp_gateway.plugin import Document, Hit, Hits, Label, Match, Query, RankerIndex
from mcp_gateway_ranker_hybrid.model import WIDTH, SentenceEncoder
from mcp_gateway_ranker_hybrid.texts import split_sentences
from mcp_gateway_ranker_hybrid.vectors import Vector

_POOL = 100
"""How many lexical hits are used; lower ones would not change the fused ranking."""

_NEAR, _HALF = 0.15, 0.5
"""A tool without any word of the query matches from this cosine on, if it is at least this share of the best one."""

_VERY_NEAR = 0.5
"""From which cosine on the label is "strong"."""


@dataclass(frozen=True, slots=True)
class EmbeddingMatrix:
    """The vectors of all tools, in the order of their ids.

    `owner` is each tool's server, as an index into `servers`; `rows` is its row of the matrix. Tools with equal texts
    share a row, so that their scores are exactly equal.
    """

    ids: tuple[str, ...]
    positions: Mapping[str, int]
    servers: tuple[str, ...]
    owner: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    matrix: npt.NDArray[np.float32]

    def cosine_similarities(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return each tool's cosine to the nearest of some vectors."""
        if not len(self.matrix):
            return np.zeros(0)
        cosines = np.einsum("ij,kj->ik", self.matrix, vectors)  # BLAS would use all cores
        return np.asarray(np.round(cosines.max(axis=1)[self.rows], 6), np.float64)


def build_matrix(documents: Sequence[Document], hashes: Sequence[str], found: Mapping[str, Vector]) -> EmbeddingMatrix:
    """Arrange the embeddings of `documents` by document id.

    `hashes` are those of the documents' texts, `found` the embeddings by hash.
    """
    order = sorted(range(len(documents)), key=lambda at: documents[at].id)
    place = {key: at for at, key in enumerate(sorted(set(hashes)))}
    matrix = np.zeros((len(place), WIDTH), np.float32)
    for key, at in place.items():
        matrix[at] = found[key]
    ids = tuple(documents[at].id for at in order)
    servers = sorted({document.server for document in documents})
    number = {server: at for at, server in enumerate(servers)}
    return EmbeddingMatrix(
        ids,
        {id_: at for at, id_ in enumerate(ids)},
        tuple(servers),
        np.array([number[documents[at].server] for at in order], np.int64),
        np.array([place[hashes[at]] for at in order], np.int64),
        matrix,
    )


def fuse_scores(query: Query, lexical: Hits, near: npt.NDArray[np.float64], tools: EmbeddingMatrix) -> Hits:
    """Fuse lexical scores and cosine similarities.

    A tool's score is its share of the best lexical score plus that of the best similarity.

    Both are 1 for the best tool and about 0 for an average one (without a word of the query, or of average
    similarity), so no weights are needed.
    """
    top = max((hit.score for hit in lexical.hits), default=0.0)
    by_words = {tools.positions[hit.id]: hit for hit in lexical.hits}
    average, nearest = float(near.mean()), float(near.max())
    relative = (near - average) / max(nearest - average, 1e-6)
    scores, matching = relative.copy(), near >= max(_NEAR, _HALF * nearest)
    for at, hit in by_words.items():
        scores[at] += hit.score / top
        matching[at] = True
    if query.servers:
        matching &= np.array([server in query.servers for server in tools.servers])[tools.owner]
    best = _top_tools(scores, np.flatnonzero(matching), query.limit)
    hits = tuple(
        Hit(
            id=tools.ids[at],
            score=float(scores[at]),
            matches=_reasons(by_words.get(at), top, float(near[at]), float(relative[at])) if query.explain else (),
        )
        for at in best
    )
    return Hits(
        hits=hits,
        total=max(int(matching.sum()), lexical.total if lexical.filtered or not query.servers else 0),
        label=_label(lexical, hits, max((float(near[at]) for at in best), default=0.0)),
        filtered=True,
    )


def _top_tools(scores: npt.NDArray[np.float64], matching: npt.NDArray[np.int64], limit: int) -> list[int]:
    """Return the `limit` best matching tools.

    Of equal scores the lower id comes first.
    """
    found = scores[matching]
    if len(matching) > limit:
        least = np.partition(found, len(found) - limit)[len(found) - limit]
        matching, found = matching[found >= least], found[found >= least]
    order = np.lexsort((matching, -found))[:limit]
    return [int(at) for at in matching[order]]


def _reasons(hit: Hit | None, top: float, near: float, relative: float) -> tuple[Match, ...]:
    words = [replace(match, score=match.score / top) for match in hit.matches] if hit else []
    meaning = Match(term="its meaning", fields=(f"cosine {near:.2f}",), score=float(relative))
    return tuple(sorted([*words, meaning], key=lambda match: -match.score))


def _label(lexical: Hits, hits: tuple[Hit, ...], nearest: float) -> Label:
    if not hits:
        return "none"
    best_of_words = bool(lexical.hits) and lexical.hits[0].id == hits[0].id
    return "strong" if nearest >= _VERY_NEAR or (best_of_words and lexical.label == "strong") else "weak"


@dataclass(frozen=True, slots=True)
class HybridSearch:
    """Search with fused lexical and semantic scores."""

    words: RankerIndex
    tools: EmbeddingMatrix
    model: SentenceEncoder

    async def search(self, query: Query) -> Hits:
        """Return tools that match by words or meaning.

        The best come first.
        """
        lexical = await self.words.search(replace(query, limit=max(_POOL, query.limit)))
        asked = split_sentences(query.text)
        if not asked or not self.tools.ids:
            return replace(lexical, hits=lexical.hits[: query.limit])
        return await anyio.to_thread.run_sync(self._fuse, query, lexical, asked)

    def _fuse(self, query: Query, lexical: Hits, asked: list[str]) -> Hits:
        return fuse_scores(query, lexical, self.tools.cosine_similarities(self.model.encode(asked)), self.tools)
