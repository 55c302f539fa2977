import math

import pytest
from mcp_gateway_ranker_bm25 import mcp_gateway_rankers
from mcp_gateway_ranker_bm25.analyser import terms
from mcp_gateway_ranker_bm25.ranker import _bag

from mcp_gateway.plugin import Document, Hits, Parameter, Query

(PROVIDER,) = mcp_gateway_rankers()
K1, B = 1.5, 0.75

DOCUMENTS = [
    Document(
        id="weather__forecast",
        server="weather",
        name="forecast",
        title="Weather forecast",
        description="Weather for the next days in a city",
        parameters=(Parameter(name="city"), Parameter(name="days", text="how many days")),
    ),
    Document(id="files__read_file", server="files", name="read_file", description="Read a file, whatever the weather"),
    Document(id="files__write_file", server="files", name="write_file", description="Write text to a file"),
    Document(
        id="slack__post",
        server="slack",
        name="post",
        description="Post a message",
        parameters=(Parameter(name="channel", text="general random"),),
    ),
]


async def search(text: str, limit: int = 10, documents: list[Document] = DOCUMENTS) -> Hits:
    async with PROVIDER.bind({}).open() as ranker:
        return await (await ranker.build(documents)).search(Query(text=text, limit=limit))


async def ids(text: str) -> list[str]:
    return [hit.id for hit in (await search(text)).hits]


def okapi(query: str, document: Document, documents: list[Document]) -> float:
    """Okapi BM25 as it is written in books, with Lucene's idf, term by term."""
    bags = [_bag(other) for other in documents]
    bag, average = _bag(document), sum(map(len, bags)) / len(bags)
    score = 0.0
    for term in dict.fromkeys(terms(query)):
        containing = sum(term in other for other in bags)
        idf = math.log(1 + (len(bags) - containing + 0.5) / (containing + 0.5))
        frequency = bag.count(term)
        score += idf * frequency * (K1 + 1) / (frequency + K1 * (1 - B + B * len(bag) / average))
    return score


@pytest.mark.parametrize("query", ["weather", "read a file", "write file file", "city weather days", "general"])
async def test_scores_are_those_of_the_formula(query):
    answer = await search(query)
    by_id = {document.id: document for document in DOCUMENTS}
    assert answer.hits
    for hit in answer.hits:
        assert hit.score == pytest.approx(okapi(query, by_id[hit.id], DOCUMENTS))


async def test_a_name_says_more_than_a_description():
    assert await ids("weather") == ["weather__forecast", "files__read_file"]


async def test_a_sentence_finds_what_its_words_would():
    assert (await ids("Could you please write this text into a file for me?"))[0] == "files__write_file"


async def test_tools_are_found_by_server_argument_and_enum_value():
    assert await ids("slack") == ["slack__post"]
    assert await ids("channel") == ["slack__post"]
    assert await ids("random") == ["slack__post"]


async def test_a_query_of_nothing_but_stop_words_finds_nothing():
    assert await search("how do I use the tools?") == Hits()


async def test_a_term_in_every_tool_still_counts():
    """Okapi's own idf is negative there."""
    twins = [Document(id=f"s__t{n}", server="s", name="common", description="x" * n) for n in range(1, 4)]
    answer = await search("common", documents=twins)
    assert answer.total == 3
    assert all(hit.score > 0 for hit in answer.hits)


async def test_asking_twice_for_a_word_makes_no_difference():
    assert await search("weather weather weather") == await search("weather")


async def test_tools_without_any_term_do_no_harm():
    nameless = [Document(id="s__1", server="", name="🚀"), Document(id="s__2", server="", name="!")]
    assert await search("rocket", documents=nameless) == Hits()
    assert [hit.id for hit in (await search("post", documents=[*nameless, *DOCUMENTS])).hits] == ["slack__post"]
