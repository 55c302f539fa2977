"""Protocols of rankers and their indexes.

They are structural: a product need not inherit from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from mcp_gateway.plugin.values import Document, Hits, Query


@runtime_checkable
class RankerIndex(Protocol):
    """An immutable index over the documents that it was built from."""

    async def search(self, query: Query) -> Hits:
        """Return the best hits in descending order, ties by id.

        Documents that do not match are left out.

        Raises:
            QueryError: the query is malformed for this ranker.

        """
        ...


@runtime_checkable
class Ranker(Protocol):
    """Builder of search indexes."""

    async def build(self, documents: Sequence[Document]) -> RankerIndex:
        """Build an index of `documents`, which may be empty.

        Earlier indexes stay valid.

        CPU work of more than 10 ms belongs in a thread (`anyio.to_thread.run_sync`).
        """
        ...


@runtime_checkable
class RefreshableIndex(RankerIndex, Protocol):
    """Optional: an index with incremental updates per server.

    An index without it is rebuilt after each change.
    """

    async def refresh(self, changed: Mapping[str, Sequence[Document]]) -> RankerIndex:
        """Return an index with the documents of `changed` servers replaced.

        `changed` maps servers to their documents, none for a removed server; a server may be new. This index does not
        change, and the new one answers exactly as one built from scratch.
        """
        ...


@runtime_checkable
class BackgroundRanker(Ranker, Protocol):
    """Optional: a ranker with builds too slow for a search.

    The gateway then calls `build` or `refresh` in the background, and meanwhile searches the index that
    `build_interim` returned.
    """

    async def build_interim(self, documents: Sequence[Document]) -> RankerIndex:
        """Return a quick interim index of the documents.

        It must be quick to build, and may give worse results.
        """
        ...
