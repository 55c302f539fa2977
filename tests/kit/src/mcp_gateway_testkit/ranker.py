"""Contract of rankers."""

from __future__ import annotations

import math
import random

import anyio
import pytest

from mcp_gateway.plugin import (
    BackgroundRanker,
    Document,
    Hits,
    Parameter,
    Query,
    QueryError,
    Ranker,
    RankerIndex,
    RefreshableIndex,
)
from mcp_gateway_testkit.contract import Contract

SECONDS = 60
"""How long a test may take on a slow machine before it counts as hanging."""

DOCUMENTS = (
    Document(
        id="a__add",
        server="a",
        name="add",
        title="Adder",
        description="Add two numbers",
        parameters=(Parameter(name="left", text="a summand"), Parameter(name="right")),
    ),
    Document(
        id="w__getWeather",
        server="w",
        name="getWeather",
        description="Current weather for a city",
        parameters=(Parameter(name="city", text="Berlin Paris Tokyo"),),
    ),
    Document(id="w__forecast", server="w", name="forecast"),
)

SCRIPTS = {
    "天気": Document(id="s__ja", server="s", name="tenki", description="東京の天気を調べる"),
    "погода": Document(id="s__ru", server="s", name="pogoda", description="Какая завтра погода"),
    "größe": Document(id="s__de", server="s", name="messen", description="Die Größe einer Datei"),
    "rocket": Document(id="s__en", server="s", name="launch", description="🚀 rocket 👩‍🚀 launch"),
}

ODD_QUERIES = (
    *("", " ", "\t\n", "\x00", "\ud83d", "!!!", "?", "...", "--", "^$"),
    *("(", "[", "*", "\\", "a{", "()", "((((" * 50, "%s %d {} {0}", "'; DROP TABLE tools; --"),
    *("AND OR NOT", "name:weather", "a" * 200, "x " * 100, "é" * 200, "天" * 200, "🚀👩‍🚀"),
    *("a" * 2000, "misspeled " * 200, "天" * 2000, " ".join(f"w{number}ord" for number in range(250))),
)
"""What a model may write, too: nothing, only punctuation, half a character, much of one thing."""


def make_twin_documents(count: int) -> list[Document]:
    """Make shuffled documents that differ only in their ids."""
    found = [Document(id=f"s__{number:04}", server="s", name="twin", description="alike") for number in range(count)]
    random.Random(7).shuffle(found)
    return found


async def search_ids(index: RankerIndex, text: str, limit: int = 10) -> list[str]:
    """Return the ids of the hits."""
    return [hit.id for hit in (await index.search(Query(text=text, limit=limit))).hits]


def is_empty(answer: Hits) -> bool:
    """Whether an answer says that nothing was found."""
    return answer.hits == () and answer.total == 0 and answer.label in (None, "none")


def make_varied_documents(count: int) -> list[Document]:
    """Make documents of several servers that share some of their words."""
    return [
        Document(
            id=f"s{number % 20}__do_{number}",
            server=f"s{number % 20}",
            name=f"do_{number}",
            description=f"common {'often ' * (number % 50)}kind{number % 97}",
        )
        for number in range(count)
    ]


class RankerContract(Contract[Ranker]):
    """Promises of a ranker and of its indexes."""

    hook = "mcp_gateway_rankers"
    entry_prefix = "ranker"

    async def test_it_does_what_a_ranker_does(self, subject: Ranker) -> None:
        """It builds indexes, and these can be searched."""
        assert isinstance(subject, Ranker)
        index = await subject.build(DOCUMENTS)
        assert isinstance(index, RankerIndex)
        assert isinstance(await index.search(Query(text="weather")), Hits)

    async def test_an_empty_catalog_finds_nothing(self, subject: Ranker) -> None:
        """There may be no server yet."""
        assert is_empty(await (await subject.build([])).search(Query(text="weather")))

    async def test_one_tool_alone_can_be_found(self, subject: Ranker) -> None:
        """Statistics over one document are no excuse."""
        assert await search_ids(await subject.build(DOCUMENTS[:1]), "add") == ["a__add"]

    async def test_two_tools_can_be_told_apart(self, subject: Ranker) -> None:
        """Nor are those over two."""
        index = await subject.build(DOCUMENTS[:2])
        assert await search_ids(index, "weather") == ["w__getWeather"]
        assert await search_ids(index, "numbers") == ["a__add"]

    async def test_a_tool_is_found_by_its_name_alone(self, subject: Ranker) -> None:
        """Many tools have no description."""
        index = await subject.build(DOCUMENTS)
        for document in DOCUMENTS:
            assert (await search_ids(index, document.name))[:1] == [document.id]

    async def test_what_does_not_match_is_left_out(self, subject: Ranker) -> None:
        """An answer that is not there costs a model nothing."""
        assert is_empty(await (await subject.build(DOCUMENTS)).search(Query(text="zebra")))

    @pytest.mark.parametrize("limit", [1, 4, 9, 100])
    async def test_limit_is_kept_and_total_counts_all_matches(self, subject: Ranker, limit: int) -> None:
        """`total` says how many match, not how many are returned."""
        index = await subject.build([*make_twin_documents(9), *DOCUMENTS])
        answer = await index.search(Query(text="twin", limit=limit))
        assert len(answer.hits) == min(limit, 9)
        assert answer.total == 9

    async def test_ties_are_broken_by_id(self, subject: Ranker) -> None:
        """Require ties to be broken by id.

        A query then returns the same hits each time.
        """
        index = await subject.build(make_twin_documents(20))
        assert await search_ids(index, "twin", 20) == sorted(document.id for document in make_twin_documents(20))
        assert await search_ids(index, "twin", 3) == ["s__0000", "s__0001", "s__0002"]

    async def test_the_same_question_gets_the_same_answer(self, subject: Ranker) -> None:
        """Require the same result for the same query.

        Of one index twice, of two indexes, and in any order of the tools.
        """
        documents = [*DOCUMENTS, *SCRIPTS.values()]
        index, again, backwards = [await subject.build(order) for order in (documents, documents, documents[::-1])]
        for text in ("weather", "add", "rocket", "forecast"):
            query = Query(text=text)
            answer = await index.search(query)
            assert answer == await index.search(query) == await again.search(query)
            assert await search_ids(backwards, text) == [hit.id for hit in answer.hits]

    async def test_scores_are_finite_and_fall(self, subject: Ranker) -> None:
        """Ids are those of the documents, and each is there once."""
        index = await subject.build([*DOCUMENTS, *make_twin_documents(5)])
        for text in ("weather", "add", "twin", "forecast"):
            hits = (await index.search(Query(text=text, limit=100))).hits
            assert all(isinstance(hit.score, float) and math.isfinite(hit.score) for hit in hits)
            assert [(-hit.score, hit.id) for hit in hits] == sorted((-hit.score, hit.id) for hit in hits)
            assert len({hit.id for hit in hits}) == len(hits)

    @pytest.mark.parametrize("text", SCRIPTS)
    async def test_every_script_is_searched(self, subject: Ranker, text: str) -> None:
        """Chinese, Cyrillic, umlauts, and words between emoji."""
        index = await subject.build([*DOCUMENTS, *SCRIPTS.values()])
        assert SCRIPTS[text].id in await search_ids(index, text)

    @pytest.mark.parametrize("text", ODD_QUERIES, ids=ascii)
    async def test_no_query_breaks_it(self, subject: Ranker, text: str) -> None:
        """Require a result or a QueryError for any query.

        A model writes the queries.
        """
        index = await subject.build([*DOCUMENTS, *SCRIPTS.values()])
        with anyio.fail_after(SECONDS):
            try:
                answer = await index.search(Query(text=text, limit=3))
            except QueryError:
                return
        assert len(answer.hits) <= min(3, answer.total)

    async def test_ten_thousand_tools_are_searched(self, subject: Ranker) -> None:
        """Require the right tool first of ten thousand, in time.

        A background ranker is tested with its interim index.
        """
        documents = [*make_varied_documents(10_000), *DOCUMENTS]
        with anyio.fail_after(SECONDS):
            build = subject.build_interim if isinstance(subject, BackgroundRanker) else subject.build
            assert (await search_ids(await build(documents), "weather"))[:1] == ["w__getWeather"]

    async def test_a_slow_ranker_answers_meanwhile(self, subject: Ranker) -> None:
        """Require `build_interim` to return an index of the same tools."""
        if not isinstance(subject, BackgroundRanker):
            return
        index = await subject.build_interim(DOCUMENTS)
        assert isinstance(index, RankerIndex)
        assert (await search_ids(index, "weather"))[:1] == ["w__getWeather"]
        assert is_empty(await (await subject.build_interim([])).search(Query(text="weather")))

    async def test_a_refreshed_index_answers_as_one_that_was_built_anew(self, subject: Ranker) -> None:
        """Require refreshed and rebuilt indexes to be equal.

        For indexes that can be refreshed: one server changed, one is new, and one is gone.
        """
        before = await subject.build([*DOCUMENTS, *make_twin_documents(5)])
        if not isinstance(before, RefreshableIndex):
            return
        changed = (DOCUMENTS[1], Document(id="w__storm", server="w", name="storm", description="Weather warnings"))
        new = (Document(id="n__weather", server="n", name="weather"),)
        after = await before.refresh({"w": changed, "n": new, "s": ()})
        anew = await subject.build([DOCUMENTS[0], *changed, *new])
        for text in ("weather", "storm", "add", "twin", "forecast", "numbers"):
            query = Query(text=text, explain=True)
            assert await after.search(query) == await anew.search(query)
        assert (await search_ids(before, "forecast"))[:1] == ["w__forecast"], "an index never changes"

    async def test_only_the_servers_that_are_wanted_are_searched(self, subject: Ranker) -> None:
        """Require filtered hits to be of the requested servers.

        For results marked as filtered; otherwise the gateway filters them.
        """
        index = await subject.build([*DOCUMENTS, Document(id="x__weather", server="x", name="weather")])
        for servers, expected in (
            (["x"], {"x__weather"}),
            (["w", "x"], {"w__getWeather", "x__weather"}),
            (["y"], set()),
        ):
            answer = await index.search(Query(text="weather", servers=frozenset(servers)))
            if answer.filtered:
                assert {hit.id for hit in answer.hits} >= expected
                assert {hit.id.partition("__")[0] for hit in answer.hits} <= set(servers)
                assert answer.total == len(answer.hits)

    async def test_explaining_changes_nothing_but_the_reasons(self, subject: Ranker) -> None:
        """Reasons are finite, and in words."""
        index = await subject.build([*DOCUMENTS, *SCRIPTS.values()])
        for text in ("weather", "add", "rocket"):
            plain = await index.search(Query(text=text))
            explained = await index.search(Query(text=text, explain=True))
            assert [(hit.id, hit.score) for hit in plain.hits] == [(hit.id, hit.score) for hit in explained.hits]
            reasons = [match for hit in explained.hits for match in hit.matches]
            assert all(match.term and math.isfinite(match.score) for match in reasons)

    async def test_a_label_is_one_that_is_known(self, subject: Ranker) -> None:
        """`none` is for answers without a hit, and only for these."""
        index = await subject.build(DOCUMENTS)
        for text in ("weather", "zebra", "add two numbers"):
            answer = await index.search(Query(text=text))
            assert answer.label in (None, "strong", "weak", "none")
            assert (answer.label == "none") <= (not answer.hits)
            assert (not answer.hits) <= (answer.label in (None, "none"))

    async def test_an_older_index_outlives_a_newer_one(self, subject: Ranker) -> None:
        """Searches under way end in the catalog in which they began."""
        old = await subject.build(DOCUMENTS)
        new = await subject.build(make_twin_documents(3))
        assert (await search_ids(old, "weather"))[:1] == ["w__getWeather"]
        assert await search_ids(new, "weather") == []

    async def test_an_index_does_not_change_with_the_list_it_was_built_from(self, subject: Ranker) -> None:
        """It is immutable."""
        documents = list(DOCUMENTS)
        index = await subject.build(documents)
        documents.clear()
        assert (await search_ids(index, "weather"))[:1] == ["w__getWeather"]

    async def test_searches_go_on_while_an_index_is_built(self, subject: Ranker) -> None:
        """They may come from many callers at once."""
        index = await subject.build(DOCUMENTS)
        build = subject.build_interim if isinstance(subject, BackgroundRanker) else subject.build
        answers: list[list[str]] = []

        async def search() -> None:
            answers.append(await search_ids(index, "weather", 1))

        with anyio.fail_after(SECONDS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(build, make_varied_documents(5000))
                for _ in range(20):
                    tasks.start_soon(search)
        assert answers == [["w__getWeather"]] * 20
