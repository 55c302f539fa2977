"""Search: one index a ranker over the whole catalogue, replaced when the catalogue is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import anyio

from mcp_gateway.catalogue import Catalogue
from mcp_gateway.names import nearest
from mcp_gateway.plugin import GatewayError, Hits, Query, Ranker, RankerIndex
from mcp_gateway.providers import pip_line


class UnknownRanker(GatewayError):
    """No ranker of that name is installed."""

    code = "unknown_ranker"


@dataclass(frozen=True, slots=True)
class _Built:
    """An index, and the catalogue whose tools it holds."""

    catalogue: Catalogue
    index: RankerIndex


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to a search, with the catalogue that was searched and the ranker that did it."""

    hits: Hits
    catalogue: Catalogue
    ranker: str


@dataclass(slots=True)
class Search:
    """Searches. An index is built at the first search after a change; a search never sees half of one."""

    rankers: Mapping[str, Ranker]
    default: str
    _built: dict[str, _Built] = field(default_factory=dict)
    _building: dict[str, anyio.Lock] = field(default_factory=dict)

    async def find(self, catalogue: Catalogue, query: Query, ranker: str | None = None) -> Found:
        """Return the tools that fit `query`, by `ranker` or the default one.

        Raises:
            UnknownRanker: there is no such ranker.
            QueryError: the ranker cannot make sense of the query.

        """
        name = ranker or self.default
        built = await self._index(name, catalogue)
        return Found(await built.index.search(query), built.catalogue, name)

    async def _index(self, name: str, catalogue: Catalogue) -> _Built:
        ranker = self._ranker(name)
        async with self._building.setdefault(name, anyio.Lock()):
            built = self._built.get(name)
            if built is None or built.catalogue.revision != catalogue.revision:
                built = self._built[name] = _Built(catalogue, await ranker.build(catalogue.documents()))
            return built

    def _ranker(self, name: str) -> Ranker:
        if name in self.rankers:
            return self.rankers[name]
        near = nearest(name, self.rankers, 1)
        advice = f"did you mean {near[0]!r}?" if near else f"try: {pip_line('mcp-gateway-ranker', name)}"
        there_is = ", ".join(sorted(self.rankers)) or "none"
        raise UnknownRanker(f"no ranker is called {name!r}; installed: {there_is}; {advice}")
