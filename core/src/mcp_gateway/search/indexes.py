"""Search indexes: one per ranker over the catalog, updated with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import anyio
import anyio.to_thread
import structlog
from anyio.abc import TaskGroup

from mcp_gateway.catalog.snapshot import Catalog
from mcp_gateway.plugin import (
    BackgroundRanker,
    Document,
    GatewayError,
    Hits,
    Query,
    Ranker,
    RankerIndex,
    RefreshableIndex,
)
from mcp_gateway.plugin_host.providers import install_hint
from mcp_gateway.text.suggestions import find_similar_names, format_no_match, format_suggestion

log = structlog.get_logger(__name__)

MAX_RESULTS = 10
"""How many tools a search returns at most, unless configured otherwise."""

MAX_OVERLAID = 64
"""How many indexes of callers' catalogs are kept; callers with equal catalogs share one."""

SLOW_SECONDS = 1.0
"""How long a search waits for an index to be built before it uses an interim one."""


IndexKey = tuple[str, frozenset[tuple[str, str]]]
"""The ranker's name, and the overlaid listings of a caller's catalog, by server and digest."""


class UnknownRanker(GatewayError):
    """No ranker of that name is installed."""

    code = "unknown_ranker"


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Search hits, with the searched catalog and the ranker's name.

    `notes` are a line for each server that was not ready when the search began.
    """

    hits: Hits
    catalog: Catalog
    ranker: str
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Built:
    """An index and its catalog; `meanwhile` marks an interim one.

    While an interim index is used, the real one is being built.
    """

    catalog: Catalog
    index: RankerIndex
    meanwhile: bool = False


@dataclass(slots=True)
class _Slow:
    """A background build; `built` is set when `done`, unless it failed."""

    catalog: Catalog
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    done: anyio.Event = field(default_factory=anyio.Event)
    built: _Built | None = None


@dataclass(slots=True)
class Search:
    """Search over indexes built on demand.

    An index is built at the first search after a change; a search never sees an incomplete one.

    In `tasks` slow rankers build in the background; without it, searches wait for them. `on_built` is called in a
    worker thread when an index has been built, before it is searched.
    """

    rankers: Mapping[str, Ranker]
    default: str
    max_results: int = MAX_RESULTS
    tasks: TaskGroup | None = None
    on_built: Callable[[], None] = lambda: None
    _built: dict[IndexKey, _Built] = field(default_factory=dict)
    _building: dict[IndexKey, anyio.Lock] = field(default_factory=dict)
    _slow: dict[IndexKey, _Slow] = field(default_factory=dict)

    async def find(self, catalog: Catalog, query: Query, ranker: str | None = None) -> SearchResult:
        """Search with `ranker` or the default one.

        Raises:
            UnknownRanker: there is no such ranker.
            QueryError: the query is invalid for the ranker.

        """
        name = ranker or self.default
        built = await self._index(name, catalog)
        hits = await built.index.search(query)
        if query.servers and not hits.filtered:
            hits = await _search_filtered(built, query)
        if not hits.total:
            hint = await anyio.to_thread.run_sync(_nothing, built.catalog, query)
            hits = replace(hits, label="none", hints=(*hits.hints, hint))
        return SearchResult(hits, built.catalog, name)

    def prepare(self, catalog: Catalog, ranker: str | None = None) -> None:
        """Build the first index of a ranker ahead of a search.

        It saves time while a search waits for servers. Once there is an index, calls do nothing.
        """
        name = ranker or self.default
        found, is_first = self.rankers.get(name), (name, catalog.overlaid) not in self._building
        if self.tasks is not None and found is not None and is_first and not isinstance(found, BackgroundRanker):
            self.tasks.start_soon(self._prepare, name, catalog)

    async def _prepare(self, name: str, catalog: Catalog) -> None:
        try:
            await self._index(name, catalog)
        except Exception as error:  # noqa: BLE001  # the search itself will raise it
            log.debug("ranker preparation failed", ranker=name, error=repr(error))

    async def _index(self, name: str, catalog: Catalog) -> _Built:
        ranker, slot = self._ranker(name), (name, catalog.overlaid)
        async with self._building.setdefault(slot, anyio.Lock()):
            built = self._built.pop(slot, None)
            if built is not None:
                self._built[slot] = built  # re-inserted at the end: the dict is in the order of use
            if built is None or built.catalog.revision != catalog.revision:
                slowly = self.tasks is not None and isinstance(ranker, BackgroundRanker)
                build = self._build_slowly if slowly else self._build
                built = self._built[slot] = await build(slot, ranker, catalog)
                self._make_room()
                await anyio.to_thread.run_sync(self.on_built)
            return built

    def _make_room(self) -> None:
        """Evict the least recently used indexes of single callers."""
        overlaid = [slot for slot in self._built if slot[1]]
        for slot in overlaid[: max(0, len(overlaid) - MAX_OVERLAID)]:
            if not self._building[slot].locked():
                del self._built[slot], self._building[slot]
                if (slow := self._slow.pop(slot, None)) is not None:
                    slow.scope.cancel()

    async def _base(self, slot: IndexKey, catalog: Catalog) -> _Built | None:
        """Return the index to refresh: the previous or common one.

        The index of a caller's catalog starts from that of the common catalog.
        """
        if catalog.base is None:
            return self._built.get(slot)
        built = await self._index(slot[0], catalog.base)
        slow = self._slow.get((slot[0], frozenset()))
        if built.meanwhile and slow is not None:
            await slow.done.wait()
            built = slow.built or built
        return built

    async def _build(self, slot: IndexKey, ranker: Ranker, catalog: Catalog) -> _Built:
        """Refresh the previous index if supported, else build a new one."""
        before = await self._base(slot, catalog)
        if before is not None and not before.meanwhile and isinstance(before.index, RefreshableIndex):
            changed = await anyio.to_thread.run_sync(_diff_documents, before.catalog, catalog)
            return _Built(catalog, await before.index.refresh(changed))
        documents = await anyio.to_thread.run_sync(catalog.documents)
        return _Built(catalog, await ranker.build(documents))

    async def _build_slowly(self, slot: IndexKey, ranker: Ranker, catalog: Catalog) -> _Built:
        """Build in the background; return an interim index if slow."""
        slow = self._slow.get(slot)
        if slow is None or slow.catalog.revision != catalog.revision:
            if slow is not None:
                slow.scope.cancel()
            slow = self._slow[slot] = _Slow(catalog)
            if self.tasks is not None:
                self.tasks.start_soon(self._finish, slot, ranker, slow)
        with anyio.move_on_after(SLOW_SECONDS):
            await slow.done.wait()
        if slow.built is None and isinstance(ranker, BackgroundRanker):
            documents = await anyio.to_thread.run_sync(catalog.documents)
            meanwhile = _Built(catalog, await ranker.build_interim(documents), meanwhile=True)
            return slow.built or meanwhile
        return slow.built or await self._build(slot, ranker, catalog)

    async def _finish(self, slot: IndexKey, ranker: Ranker, slow: _Slow) -> None:
        """Complete a background build and replace the interim index."""
        with slow.scope:
            try:
                slow.built = await self._build(slot, ranker, slow.catalog)
            except Exception:
                log.exception("index build failed", ranker=slot[0])
        now = self._built.get(slot)
        if slow.built is not None and now is not None and now.catalog.revision == slow.catalog.revision:
            self._built[slot] = slow.built
        slow.done.set()
        await anyio.to_thread.run_sync(self.on_built)

    def _ranker(self, name: str) -> Ranker:
        if name in self.rankers:
            return self.rankers[name]
        near = find_similar_names(name, self.rankers, 1)
        advice = format_suggestion(near) or install_hint("mcp-gateway-ranker", name)
        there_is = ", ".join(sorted(self.rankers)) or "none"
        raise UnknownRanker(f"no ranker is called {name!r}; installed: {there_is}; {advice}")


async def _search_filtered(built: _Built, query: Query) -> Hits:
    """Search all documents and filter the hits by server.

    This is for rankers that do not support filtering.
    """
    everything = max(1, sum(len(listing.by_name) for listing in built.catalog.servers.values()))
    hits = await built.index.search(replace(query, servers=frozenset(), limit=everything))
    kept = tuple(hit for hit in hits.hits if built.catalog.owner(hit.id) in query.servers)
    label = hits.label if kept[:1] == hits.hits[:1] else None
    return replace(hits, hits=kept[: query.limit], total=len(kept), label=label, filtered=True)


def _diff_documents(before: Catalog, after: Catalog) -> dict[str, tuple[Document, ...]]:
    """Return the documents of changed servers, none for removed ones."""
    gone = {server: () for server in before.servers if server not in after.servers}
    return {
        **gone,
        **{
            server: documents
            for server, listing in after.servers.items()
            if (old := before.servers.get(server)) is not listing
            and (documents := tuple(listing.documents())) != (old and tuple(old.documents()))
        },
    }


def _nothing(catalog: Catalog, query: Query) -> str:
    wanted = {name: listing for name, listing in catalog.servers.items() if not query.servers or name in query.servers}
    return format_no_match(query.text, wanted, (name for listing in wanted.values() for name in listing.tool_names))
