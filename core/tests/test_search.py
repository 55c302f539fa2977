"""Search: one index a ranker, built at the first search after a change, and never twice."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from mcp_gateway.catalogue import Catalogue, Offer
from mcp_gateway.plugin import Query, QueryError
from mcp_gateway.search import Search, UnknownRanker

from .plugins import Words
from .remotes import tool, until


def catalogue(*names):
    return Catalogue().with_offer(Offer("a", tuple(tool(name) for name in names)), ["a"])


@pytest.fixture
def words():
    return Words()


@pytest.fixture
def search(words):
    return Search({"bm25": words, "regex": Words()}, "bm25")


async def test_the_default_ranker_answers_unless_another_is_named(search):
    tools = catalogue("read", "write")
    found = await search.find(tools, Query(text="read"))
    assert (found.ranker, [hit.id for hit in found.hits.hits], found.hits.total) == ("bm25", ["a__read"], 1)
    assert found.catalogue is tools
    assert (await search.find(tools, Query(text="read"), "regex")).ranker == "regex"


async def test_the_index_is_built_anew_for_a_new_catalogue_only(search, words):
    tools = catalogue("read")
    for _ in range(3):
        await search.find(tools, Query(text="read"))
    assert words.built == 1
    same = tools.with_offer(replace(tools.servers["a"], fetched=1.0), ["a"])
    await search.find(same, Query(text="read"))
    assert words.built == 1, "nothing has changed but the time"
    changed = same.with_offer(Offer("b", (tool("spread"),)), ["a", "b"])
    found = await search.find(changed, Query(text="read"))
    assert (words.built, found.hits.total) == (2, 2)


async def test_a_ranker_that_is_not_asked_builds_nothing(search):
    await search.find(catalogue("read"), Query(text="read"))
    assert search.rankers["regex"].built == 0


async def test_two_first_searches_at_once_build_one_index(search, words):
    tools, answers = catalogue("read"), []
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
    tools = catalogue("read")
    words.may_build = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(search.find, tools, Query(text="read"))
        await until(lambda: words.built)
        tasks.cancel_scope.cancel()
    words.may_build.set()
    with anyio.fail_after(5):
        assert (await search.find(tools, Query(text="read"))).hits.total == 1


async def test_an_empty_catalogue_can_be_searched(search):
    assert (await search.find(Catalogue(), Query(text="read"))).hits.total == 0


async def test_an_unknown_ranker_is_told_with_what_there_is_and_what_is_near(search):
    with pytest.raises(
        UnknownRanker, match=r"no ranker is called 'bm52'; installed: bm25, regex; did you mean 'bm25'\?"
    ):
        await search.find(catalogue(), Query(text="x"), "bm52")
    with pytest.raises(UnknownRanker, match="try: pip install mcp-gateway-ranker-dense"):
        await search.find(catalogue(), Query(text="x"), "dense")


async def test_a_query_that_the_ranker_cannot_read_is_its_own_error(search):
    with pytest.raises(QueryError, match="not closed"):
        await search.find(catalogue("read"), Query(text="("))
