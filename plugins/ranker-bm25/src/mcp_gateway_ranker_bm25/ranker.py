"""BM25 ranker with indexing in a worker thread.

Its heavy imports are loaded with the first index.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio.to_thread

from mcp_gateway.plugin import Document, Ranker, RankerIndex


@dataclass(frozen=True, slots=True)
class Bm25Ranker:
    """Builder of indexes; `aliases` is the configured text."""

    aliases: str = field(repr=False)

    async def build(self, documents: Sequence[Document]) -> RankerIndex:
        """Index `documents` in a worker thread.

        Ten thousand tools take a second or two.
        """
        return await anyio.to_thread.run_sync(_build_index, tuple(documents), self.aliases)


@asynccontextmanager
async def open_bm25(aliases: str) -> AsyncIterator[Ranker]:
    """Open the ranker."""
    yield Bm25Ranker(aliases)


def _build_index(documents: Sequence[Document], aliases: str) -> RankerIndex:
    from mcp_gateway_ranker_bm25.index_builder import build_index  # numpy is slow to import, and no handshake needs it

    return build_index(documents, aliases)
