import pytest
from mcp_gateway_ranker_bm25 import mcp_gateway_rankers
from pydantic import ValidationError

from mcp_gateway.plugin import Document, Hits, Parameter, Query

(PROVIDER,) = mcp_gateway_rankers()

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


async def search(
    text: str, limit: int = 10, documents: list[Document] = DOCUMENTS, aliases: str = "", **more: object
) -> Hits:
    async with PROVIDER.bind({"GATEWAY_BM25_ALIASES": aliases}).open() as ranker:
        return await (await ranker.build(documents)).search(Query(text=text, limit=limit, **more))


async def ids(text: str, **more: object) -> list[str]:
    return [hit.id for hit in (await search(text, **more)).hits]


def named(*names: str, server: str = "s", **more: str) -> list[Document]:
    return [Document(id=f"{server}__{name}", server=server, name=name, **more) for name in names]


async def test_a_name_says_more_than_a_description():
    assert await ids("weather") == ["weather__forecast", "files__read_file"]


async def test_a_sentence_finds_what_its_words_would():
    assert (await ids("Could you please write this text into a file for me?"))[0] == "files__write_file"


async def test_tools_are_found_by_server_argument_and_enum_value():
    assert await ids("slack") == ["slack__post"]
    assert await ids("channel") == ["slack__post"]
    assert await ids("random") == ["slack__post"]


async def test_a_query_of_nothing_but_stop_words_finds_nothing_and_says_so():
    answer = await search("how do I use the tools?")
    assert (answer.hits, answer.total, answer.label) == ((), 0, "none")


async def test_a_term_in_every_tool_still_counts():
    """Okapi's own idf is negative there."""
    twins = [Document(id=f"s__t{n}", server="s", name="common", description="x" * n) for n in range(1, 4)]
    answer = await search("common", documents=twins)
    assert answer.total == 3
    assert all(hit.score > 0 for hit in answer.hits)


async def test_a_word_that_is_said_ten_times_counts_twice():
    once, often = await search("message"), await search("message " * 10)
    assert often.hits[0].score == pytest.approx(2 * once.hits[0].score)


async def test_tools_without_any_term_do_no_harm():
    nameless = [Document(id="s__1", server="", name="🚀"), Document(id="s__2", server="", name="!")]
    assert (await search("rocket", documents=nameless)).total == 0
    assert [hit.id for hit in (await search("post", documents=[*nameless, *DOCUMENTS])).hits] == ["slack__post"]


@pytest.mark.parametrize("text", ["read_file", "READ FILE", "readFile", "files__read_file", "files.read_file"])
async def test_a_tool_that_is_named_comes_first_however_its_name_is_written(text):
    wordy = named("other", description="read file " * 30, server="read-file")
    answer = await search(text, documents=[*wordy, *DOCUMENTS])
    assert (answer.hits[0].id, answer.label) == ("files__read_file", "strong")


async def test_a_name_inside_a_sentence_counts_if_it_is_written_as_one():
    assert (await ids("please post what read_file says, as a message, to a channel"))[0] == "files__read_file"


async def test_the_beginning_of_a_name_finds_it():
    assert set(await ids("files__")) == {"files__read_file", "files__write_file"}
    assert await ids("forec") == ["weather__forecast"]
    assert await ids("fo") == [], "two letters are the beginning of too much"


async def test_a_word_of_conversation_that_is_a_tools_name_finds_it():
    assert await ids("help", documents=[*DOCUMENTS, *named("help")]) == ["s__help"]


@pytest.mark.parametrize("typo", ["mesage", "messsage", "massage", "emssage", "messaeg"])
async def test_a_word_that_no_tool_has_is_repaired_by_one_edit_unless_it_begins_otherwise(typo):
    assert await ids(f"post a {typo} xyzzy")
    assert (await ids(typo) == ["slack__post"]) == (typo[0] == "m")


async def test_words_that_are_known_short_or_numbers_are_not_repaired():
    tools = named("ports", "filet", "12345")
    assert await ids("port", documents=tools) == ["s__ports"], "it is the stem"
    assert await ids("file", documents=tools) == ["s__filet"], "it is the beginning"
    assert await ids("12346", documents=tools) == []
    assert await ids("pots", documents=tools) == []


async def test_no_hit_is_lost_because_of_an_unknown_word():
    assert await ids("weather") == await ids("weather zzzzzz qqqqqq")


async def test_words_that_mean_the_same_find_each_other():
    tools = named("delete_directory", "list_images")
    assert await ids("remove a folder", documents=tools) == ["s__delete_directory"]
    assert await ids("photo", documents=tools) == ["s__list_images"]


async def test_a_configuration_adds_words_that_mean_the_same():
    tools = named("kubernetes_apply", "create_pull_request", "pr_state")
    aliases = "k8s = kubernetes, pr = pull request"
    assert await ids("k8s", documents=tools) == []
    assert await ids("k8s", documents=tools, aliases=aliases) == ["s__kubernetes_apply"]
    assert set(await ids("pr", documents=tools, aliases=aliases)) == {"s__pr_state", "s__create_pull_request"}


@pytest.mark.parametrize(
    "aliases",
    ["k8s", "k8s =", "= kubernetes", "k8s = !", "pr = pull request, k8s", "k8s = kubernetes; pr = x", "a b = c d"],
)
def test_aliases_that_say_nothing_are_refused_with_the_form(aliases):
    with pytest.raises(ValidationError, match=r"GATEWAY_BM25_ALIASES[\s\S]*write k8s = kubernetes, pr = pull request"):
        PROVIDER.bind({"GATEWAY_BM25_ALIASES": aliases})


async def test_tools_of_a_server_that_is_named_are_preferred():
    tools = [
        *named("search_pages", server="acme-wiki", description="Search pages"),
        *named("search_pages", server="blue-notes-mcp", description="Search pages"),
    ]
    plain = await search("search pages", documents=tools)
    assert plain.hits[0].score == pytest.approx(plain.hits[1].score)
    assert (await ids("search pages in blue notes", documents=tools))[0] == "blue-notes-mcp__search_pages"


async def test_only_the_servers_that_are_wanted_are_searched():
    answer = await search("weather file", servers=frozenset({"weather", "slack"}))
    assert ([hit.id for hit in answer.hits], answer.total, answer.filtered) == (["weather__forecast"], 1, True)


async def test_every_hit_says_which_terms_it_has_in_which_fields():
    hit = (await search("weather in the ctiy of days", explain=True)).hits[0]
    reasons = {match.term: match.fields for match in hit.matches}
    assert reasons["weather"] == ("server", "title", "description")
    assert reasons["day"] == ("description", "argument names", "argument texts")
    assert reasons["the server is named"] == ("server",)
    assert sum(match.score for match in hit.matches) == pytest.approx(hit.score)


async def test_a_name_is_a_reason_too():
    for text in ("read_file", "read_f"):
        hit = (await search(text, explain=True)).hits[0]
        assert hit.matches[0].term == "the tool is named"
        assert sum(match.score for match in hit.matches) == pytest.approx(hit.score)


async def test_repaired_words_and_aliases_are_shown_as_what_they_stand_for():
    hit = (await search("mesage", explain=True)).hits[0]
    assert [match.term for match in hit.matches] == ["mesag → messag"]


@pytest.mark.parametrize(
    "text, label", [("post a message", "strong"), ("message quantum entanglement", "weak"), ("quantum", "none")]
)
async def test_the_label_says_how_much_of_the_query_the_best_hit_has(text, label):
    assert (await search(text)).label == label
