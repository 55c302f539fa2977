"""Search: one index a ranker, built at the first search after a change, and never twice."""

from __future__ import annotations

from dataclasses import replace

import anyio
import anyio.lowlevel
import pytest

from mcp_gateway.catalog.listing import Listing
from mcp_gateway.catalog.snapshot import Catalog
from mcp_gateway.plugin import Query, QueryError
from mcp_gateway.search.indexes import Search, UnknownRanker

from ..support.fake_plugins import WordIndex, WordRanker
from ..support.fake_servers import tool, until


def catalog(*names):
    return Catalog().with_listing(Listing("a", tuple(tool(name) for name in names)), ["a"])


@pytest.fixture
def words():
    return WordRanker()


@pytest.fixture
def search(words):
    return Search({"bm25": words, "regex": WordRanker()}, "bm25")


async def test_the_default_ranker_answers_unless_another_is_named(search):
    tools = catalog("read", "write")
    found = await search.find(tools, Query(text="read"))
    assert (found.ranker, [hit.id for hit in found.hits.hits], found.hits.total) == ("bm25", ["a__read"], 1)
    assert found.catalog is tools
    assert (await search.find(tools, Query(text="read"), "regex")).ranker == "regex"


async def test_the_index_is_built_anew_for_a_new_catalogue_only(search, words):
    tools = catalog("read")
    for _ in range(3):
        await search.find(tools, Query(text="read"))
    assert words.built == 1
    same = tools.with_listing(replace(tools.servers["a"], fetched=1.0), ["a"])
    await search.find(same, Query(text="read"))
    assert words.built == 1, "nothing has changed but the time"
    changed = same.with_listing(Listing("b", (tool("spread"),)), ["a", "b"])
    found = await search.find(changed, Query(text="read"))
    assert (words.built, found.hits.total) == (2, 2)


async def test_each_built_index_is_announced_before_it_is_searched(search):
    calls: list[int] = []
    search.on_built = lambda: calls.append(1)
    for names in (("read",), ("read",), ("read", "write")):
        tools = replace(catalog(*names), revision=len(names))
        await search.find(tools, Query(text="read"))
    assert calls == [1, 1]


async def test_a_ranker_that_is_not_asked_builds_nothing(search):
    await search.find(catalog("read"), Query(text="read"))
    assert search.rankers["regex"].built == 0


async def test_two_first_searches_at_once_build_one_index(search, words):
    tools, answers = catalog("read"), []
    words.may_build = anyio.Event()

    async def find():
        answers.append(await search.find(tools, Query(text="read")))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(find)
            tasks.start_soon(find)
            await until(lambda: words.built)
            words.may_build.set()
    assert words.built == 1
    assert [answer.hits.total for answer in answers] == [1, 1]


async def test_a_search_that_is_cancelled_while_it_builds_leaves_the_next_one_free(search, words):
    tools = catalog("read")
    words.may_build = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(search.find, tools, Query(text="read"))
        await until(lambda: words.built)
        tasks.cancel_scope.cancel()
    words.may_build.set()
    with anyio.fail_after(5):
        assert (await search.find(tools, Query(text="read"))).hits.total == 1


async def test_an_empty_catalogue_can_be_searched(search):
    assert (await search.find(Catalog(), Query(text="read"))).hits.total == 0


async def test_the_error_for_an_unknown_ranker_lists_those_there_are_and_the_nearest(search):
    with pytest.raises(
        UnknownRanker, match=r"no ranker is called 'bm52'; installed: bm25, regex; did you mean 'bm25'\?"
    ):
        await search.find(catalog(), Query(text="x"), "bm52")
    with pytest.raises(UnknownRanker, match="install a plugin that brings it"):
        await search.find(catalog(), Query(text="x"), "dense")


async def test_a_query_that_the_ranker_cannot_read_is_its_own_error(search):
    with pytest.raises(QueryError, match="not closed"):
        await search.find(catalog("read"), Query(text="("))


def several(**tools):
    found = Catalog()
    for server, names in tools.items():
        found = found.with_listing(Listing(server, tuple(tool(name) for name in names)), list(tools))
    return found


async def test_a_search_may_be_of_some_servers_only_whatever_the_ranker_knows_of_that(search):
    tools = several(a=["read_a", "read_b"], b=["read"], c=["read_c"])
    found = await search.find(tools, Query(text="read", limit=1, servers=frozenset({"b", "c"})))
    assert ([hit.id for hit in found.hits.hits], found.hits.total, found.hits.filtered) == (["b__read"], 2, True)
    nothing = await search.find(tools, Query(text="read", servers=frozenset({"gone"})))
    assert (nothing.hits.hits, nothing.hits.total, nothing.hits.label) == ((), 0, "none")


async def test_a_search_that_finds_nothing_says_so_and_names_what_is_near(search):
    tools = several(calendar=["create_event", "list_events"], mail=["send"])
    hits = (await search.find(tools, Query(text="calender evnts"))).hits
    assert (hits.hits, hits.label) == ((), "none")
    (hint,) = hits.hints
    assert hint.startswith("nothing matches; try other words; servers with such a name: calendar")
    assert "tools with such a name: calendar__" in hint
    assert (await search.find(tools, Query(text="xyzzy"))).hits.hints == ("nothing matches; try other words",)
    assert (await search.find(tools, Query(text="send"))).hits.hints == ()


async def test_where_there_are_no_tools_other_words_are_no_help(search):
    assert (await search.find(several(calendar=[]), Query(text="x"))).hits.hints == ("there are no tools to search",)


class Refreshable(WordRanker):
    """A ranker whose indexes can be refreshed; `refreshed` collects what changed."""

    def __init__(self):
        super().__init__()
        self.refreshed = []

    async def build(self, documents):
        index = await super().build(documents)
        index.refresh = lambda changed: self._refresh(list(documents), changed)
        return index

    async def _refresh(self, documents, changed):
        self.refreshed.append({server: [item.name for item in held] for server, held in changed.items()})
        kept = [item for item in documents if item.server not in changed]
        self.built -= 1
        return await self.build([*kept, *(item for held in changed.values() for item in held)])


async def test_an_index_that_can_be_refreshed_gets_only_the_servers_that_changed():
    ranker = Refreshable()
    search = Search({"mine": ranker}, "mine")
    before = several(a=["read"], b=["spread"], c=["bread"])
    assert (await search.find(before, Query(text="read"))).hits.total == 3
    after = before.with_listing(replace(before.servers["a"], fetched=1.0), ["a", "b", "c"])
    after = after.with_listing(Listing("b", (tool("write"),)), ["a", "b", "c", "d"])
    after = after.with_listing(Listing("d", (tool("reader"),)), ["a", "b", "d"])
    assert (await search.find(after, Query(text="read"))).hits.total == 2
    assert ranker.refreshed == [{"c": [], "b": ["write"], "d": ["reader"]}]
    assert ranker.built == 1


class Slow(WordRanker):
    """A ranker that takes its time, and says `meanwhile` until then."""

    async def build_interim(self, documents):
        return WordIndex(self, {f"meanwhile_{item.id}": item.name for item in documents})


@pytest.fixture
async def slowly(monkeypatch):
    monkeypatch.setattr("mcp_gateway.search.indexes.SLOW_SECONDS", 0.01)
    async with anyio.create_task_group() as tasks:
        slow = Slow()
        slow.may_build = anyio.Event()
        yield slow, Search({"slow": slow}, "slow", tasks=tasks)
        tasks.cancel_scope.cancel()


async def ids(search, tools):
    return [hit.id for hit in (await search.find(tools, Query(text="read"))).hits.hits]


async def test_a_slow_ranker_answers_meanwhile_and_then_better(slowly):
    slow, search = slowly
    tools = several(a=["read"])
    assert await ids(search, tools) == ["meanwhile_a__read"]
    assert await ids(search, tools) == ["meanwhile_a__read"]
    slow.may_build.set()
    with anyio.fail_after(5):
        while await ids(search, tools) != ["a__read"]:
            await anyio.lowlevel.checkpoint()
    assert slow.built == 1


async def test_a_slow_ranker_that_is_quick_enough_answers_at_once(slowly, monkeypatch):
    slow, search = slowly
    monkeypatch.setattr("mcp_gateway.search.indexes.SLOW_SECONDS", 5.0)
    slow.may_build.set()
    assert await ids(search, several(a=["read"])) == ["a__read"]


async def test_a_slow_build_of_a_catalogue_that_is_old_by_now_is_given_up(slowly):
    slow, search = slowly
    tools = several(a=["read"])
    await ids(search, tools)
    newer = tools.with_listing(Listing("b", (tool("spread"),)), ["a", "b"])
    assert await ids(search, newer) == ["meanwhile_a__read", "meanwhile_b__spread"]
    slow.may_build.set()
    with anyio.fail_after(5):
        while await ids(search, newer) != ["a__read", "b__spread"]:
            await anyio.lowlevel.checkpoint()
    assert [item.id for item in slow.documents] == ["a__read", "b__spread"]


async def test_a_slow_ranker_that_fails_is_logged_and_answers_on_with_less(slowly):
    slow, search = slowly

    async def fail(documents):
        raise RuntimeError("out of memory")

    slow.build = fail
    tools = several(a=["read"])
    for _ in range(2):
        assert await ids(search, tools) == ["meanwhile_a__read"]


async def test_a_ranker_can_be_prepared_once_for_a_search_that_waits(words):
    async with anyio.create_task_group() as tasks:
        search = Search({"bm25": words, "regex": WordRanker()}, "bm25", tasks=tasks)
        for _ in range(2):
            search.prepare(catalog("read"))
            await until(lambda: words.built == 1)
        search.prepare(catalog("read"), "no such ranker")
        tools = catalog("read").with_listing(Listing("b", (tool("spread"),)), ["a", "b"])
        assert (await search.find(tools, Query(text="read"))).hits.total == 2
        search.prepare(tools)
        await anyio.wait_all_tasks_blocked()
        assert (words.built, search.rankers["regex"].built) == (2, 0)


async def test_a_ranker_that_cannot_be_prepared_says_so_when_it_is_asked():
    class Broken(WordRanker):
        async def build(self, documents):
            raise ValueError("no index today")

    async with anyio.create_task_group() as tasks:
        search = Search({"bm25": Broken()}, "bm25", tasks=tasks)
        search.prepare(catalog("read"))
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(ValueError, match="no index today"):
            await search.find(catalog("read"), Query(text="read"))
