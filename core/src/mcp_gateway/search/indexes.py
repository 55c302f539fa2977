"""Search indexes: one per ranker over the catalog, updated with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import anyio
import anyio.to_thread
import structlog
from anyio.abc import TaskGroup

from mcp_gateway.catalog.snapshot import Catalogue
from mcp_gateway.plugin import (
    Document,
    GatewayError,
    Hits,
    Query,
    Ranker,
    RankerIndex,
    RefreshableIndex,
    SlowRanker,
)
from mcp_gateway.plugin_host.providers import where_from
from mcp_gateway.protocol.tool_names import nearest
from mcp_gateway.text.suggestions import nothing_matches

log = structlog.get_logger(__name__)

MAX_RESULTS = 10
"""How many tools a search returns at the most, unless the configuration says otherwise."""

MAX_OWN = 64
"""How many indexes of what single callers see are kept; those who see the same share one."""

SLOW_SECONDS = 1.0
"""How long a search waits for a slow ranker before it takes what there is meanwhile."""


Slot = tuple[str, frozenset[tuple[str, str]]]
"""Where an index is kept: by its ranker, and by what is in it that not all callers see."""


class UnknownRanker(GatewayError):
    """No ranker of that name is installed."""

    code = "unknown_ranker"


@dataclass(frozen=True, slots=True)
class Found:
    """Search hits, with the searched catalog and the ranker's name."""

    hits: Hits
    catalogue: Catalogue
    ranker: str


@dataclass(frozen=True, slots=True)
class _Built:
    """An index and its catalog; `meanwhile` marks an interim one.

    A better one is being built then.
    """

    catalogue: Catalogue
    index: RankerIndex
    meanwhile: bool = False


@dataclass(slots=True)
class _Slow:
    """A background build; `built` is set when `done`, unless it failed."""

    catalogue: Catalogue
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    done: anyio.Event = field(default_factory=anyio.Event)
    built: _Built | None = None


@dataclass(slots=True)
class Search:
    """Search over indexes built on demand.

    An index is built at the first search after a change; a search never sees an incomplete one.

    `tasks` is where slow rankers build in the background; without it, searches wait for them.
    `on_built` hears in a thread that an index was built, before it is searched.
    """

    rankers: Mapping[str, Ranker]
    default: str
    max_results: int = MAX_RESULTS
    tasks: TaskGroup | None = None
    on_built: Callable[[], None] = lambda: None
    _built: dict[Slot, _Built] = field(default_factory=dict)
    _building: dict[Slot, anyio.Lock] = field(default_factory=dict)
    _slow: dict[Slot, _Slow] = field(default_factory=dict)

    async def find(self, catalogue: Catalogue, query: Query, ranker: str | None = None) -> Found:
        """Search with `ranker` or the default one.

        Raises:
            UnknownRanker: there is no such ranker.
            QueryError: the ranker cannot make sense of the query.

        """
        name = ranker or self.default
        built = await self._index(name, catalogue)
        hits = await built.index.search(query)
        if query.servers and not hits.filtered:
            hits = await _filtered(built, query)
        if not hits.total:
            said = await anyio.to_thread.run_sync(_nothing, built.catalogue, query)
            hits = replace(hits, label="none", hints=(*hits.hints, said))
        return Found(hits, built.catalogue, name)

    def prepare(self, catalogue: Catalogue, ranker: str | None = None) -> None:
        """Build the first index of a ranker ahead of a search.

        For a search that still waits for servers. Later calls do nothing.
        """
        name = ranker or self.default
        found, is_first = self.rankers.get(name), (name, catalogue.own) not in self._building
        if self.tasks is not None and found is not None and is_first and not isinstance(found, SlowRanker):
            self.tasks.start_soon(self._prepare, name, catalogue)

    async def _prepare(self, name: str, catalogue: Catalogue) -> None:
        try:
            await self._index(name, catalogue)
        except Exception as error:  # noqa: BLE001  # the search itself will say so
            log.debug("a ranker could not be prepared", ranker=name, error=repr(error))

    async def _index(self, name: str, catalogue: Catalogue) -> _Built:
        ranker, slot = self._ranker(name), (name, catalogue.own)
        async with self._building.setdefault(slot, anyio.Lock()):
            built = self._built.pop(slot, None)
            if built is not None:
                self._built[slot] = built  # the last one used
            if built is None or built.catalogue.revision != catalogue.revision:
                slowly = self.tasks is not None and isinstance(ranker, SlowRanker)
                build = self._build_slowly if slowly else self._build
                built = self._built[slot] = await build(slot, ranker, catalogue)
                self._make_room()
                await anyio.to_thread.run_sync(self.on_built)
            return built

    def _make_room(self) -> None:
        """Evict the least recently used indexes of single callers."""
        own = [slot for slot in self._built if slot[1]]
        for slot in own[: max(0, len(own) - MAX_OWN)]:
            if not self._building[slot].locked():
                del self._built[slot], self._building[slot]
                if (slow := self._slow.pop(slot, None)) is not None:
                    slow.scope.cancel()

    async def _base(self, slot: Slot, catalogue: Catalogue) -> _Built | None:
        """Return the index to refresh: the previous or common one.

        The index of a caller's catalog starts from that of the common catalog.
        """
        if catalogue.base is None:
            return self._built.get(slot)
        built = await self._index(slot[0], catalogue.base)
        slow = self._slow.get((slot[0], frozenset()))
        if built.meanwhile and slow is not None:
            await slow.done.wait()
            built = slow.built or built
        return built

    async def _build(self, slot: Slot, ranker: Ranker, catalogue: Catalogue) -> _Built:
        """Refresh the previous index if supported, else build a new one."""
        before = await self._base(slot, catalogue)
        if before is not None and not before.meanwhile and isinstance(before.index, RefreshableIndex):
            changed = await anyio.to_thread.run_sync(_changed, before.catalogue, catalogue)
            return _Built(catalogue, await before.index.refresh(changed))
        documents = await anyio.to_thread.run_sync(catalogue.documents)
        return _Built(catalogue, await ranker.build(documents))

    async def _build_slowly(self, slot: Slot, ranker: Ranker, catalogue: Catalogue) -> _Built:
        """Build in the background; return an interim index if slow."""
        slow = self._slow.get(slot)
        if slow is None or slow.catalogue.revision != catalogue.revision:
            if slow is not None:
                slow.scope.cancel()
            slow = self._slow[slot] = _Slow(catalogue)
            if self.tasks is not None:
                self.tasks.start_soon(self._finish, slot, ranker, slow)
        with anyio.move_on_after(SLOW_SECONDS):
            await slow.done.wait()
        if slow.built is None and isinstance(ranker, SlowRanker):
            documents = await anyio.to_thread.run_sync(catalogue.documents)
            meanwhile = _Built(catalogue, await ranker.build_meanwhile(documents), meanwhile=True)
            return slow.built or meanwhile
        return slow.built or await self._build(slot, ranker, catalogue)

    async def _finish(self, slot: Slot, ranker: Ranker, slow: _Slow) -> None:
        """Complete a background build and replace the interim index."""
        with slow.scope:
            try:
                slow.built = await self._build(slot, ranker, slow.catalogue)
            except Exception:
                log.exception("a ranker failed to build its index; the gateway goes on with less", ranker=slot[0])
        now = self._built.get(slot)
        if slow.built is not None and now is not None and now.catalogue.revision == slow.catalogue.revision:
            self._built[slot] = slow.built
        slow.done.set()
        await anyio.to_thread.run_sync(self.on_built)

    def _ranker(self, name: str) -> Ranker:
        if name in self.rankers:
            return self.rankers[name]
        near = nearest(name, self.rankers, 1)
        advice = f"did you mean {near[0]!r}?" if near else where_from("mcp-gateway-ranker", name)
        there_is = ", ".join(sorted(self.rankers)) or "none"
        raise UnknownRanker(f"no ranker is called {name!r}; installed: {there_is}; {advice}")


async def _filtered(built: _Built, query: Query) -> Hits:
    """Search all documents and filter the hits by server.

    For a ranker that does not filter.
    """
    everything = max(1, sum(len(offer.by_name) for offer in built.catalogue.servers.values()))
    hits = await built.index.search(replace(query, servers=frozenset(), limit=everything))
    kept = tuple(hit for hit in hits.hits if built.catalogue.owner(hit.id) in query.servers)
    label = hits.label if kept[:1] == hits.hits[:1] else None
    return replace(hits, hits=kept[: query.limit], total=len(kept), label=label, filtered=True)


def _changed(before: Catalogue, after: Catalogue) -> dict[str, tuple[Document, ...]]:
    """Return the documents of changed servers, none for removed ones."""
    gone = {server: () for server in before.servers if server not in after.servers}
    return {
        **gone,
        **{
            server: documents
            for server, offer in after.servers.items()
            if (old := before.servers.get(server)) is not offer
            and (documents := tuple(offer.documents())) != (old and tuple(old.documents()))
        },
    }


def _nothing(catalogue: Catalogue, query: Query) -> str:
    wanted = {name: offer for name, offer in catalogue.servers.items() if not query.servers or name in query.servers}
    return nothing_matches(query.text, wanted, (name for offer in wanted.values() for name in offer.own_names))
