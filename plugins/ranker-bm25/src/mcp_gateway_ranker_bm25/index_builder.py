"""Index builder: analyses each server's tools once, and merges sections.

The merged index covers the tools of all servers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import anyio.to_thread

from mcp_gateway.plugin import Document, Hits, Query, RankerIndex
from mcp_gateway_ranker_bm25.aliases import Aliases, load_aliases
from mcp_gateway_ranker_bm25.fields import AnalysedSection, analyse_section
from mcp_gateway_ranker_bm25.index import WordIndex
from mcp_gateway_ranker_bm25.merge import merge_sections


@dataclass(frozen=True, slots=True)
class Bm25Index:
    """An immutable index, with the sections for the next one."""

    sections: Mapping[str, AnalysedSection]
    words: WordIndex

    async def search(self, query: Query) -> Hits:
        """Return the matching tools, best first.

        A query takes less than a millisecond and runs on the event loop.
        """
        return self.words.find(query)

    async def refresh(self, changed: Mapping[str, Sequence[Document]]) -> RankerIndex:
        """Return an index with the tools of some servers replaced.

        The tools of the other servers are not analysed again.
        """
        return await anyio.to_thread.run_sync(_refresh_index, self, dict(changed))


def build_index(documents: Sequence[Document], aliases: str) -> Bm25Index:
    """Index documents; `aliases` is the configured text."""
    by_server: dict[str, list[Document]] = {}
    for document in documents:
        by_server.setdefault(document.server, []).append(document)
    return _index_sections(
        {server: analyse_section(server, found) for server, found in by_server.items()}, load_aliases(aliases)
    )


def _refresh_index(index: Bm25Index, changed: Mapping[str, Sequence[Document]]) -> Bm25Index:
    kept = {server: held for server, held in index.sections.items() if server not in changed}
    new = {server: analyse_section(server, documents) for server, documents in changed.items() if documents}
    return _index_sections({**kept, **new}, index.words.aliases)


def _index_sections(sections: Mapping[str, AnalysedSection], aliases: Aliases) -> Bm25Index:
    return Bm25Index(sections, WordIndex(merge_sections(tuple(sections.values())), aliases))
