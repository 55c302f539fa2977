"""One server changes, the others are not analysed again, and the answers are those of an index that was built anew."""

import random

from mcp_gateway_ranker_bm25 import index_builder, mcp_gateway_rankers

from mcp_gateway.plugin import Document, Query

(PROVIDER,) = mcp_gateway_rankers()


def catalogue(seed: int) -> list[Document]:
    chance = random.Random(seed)
    words = [f"word{number}" for number in range(60)]
    return [
        Document(
            id=f"server{number % 7}__tool_{number}",
            server=f"server{number % 7}",
            name=f"tool_{number}",
            description=" ".join(chance.choices(words, k=12)),
        )
        for number in range(140)
    ]


async def test_a_refreshed_index_gives_the_same_scores_to_the_last_bit():
    before, after = catalogue(1), catalogue(2)
    changed = {"server3", "server5"}
    mixed = [after[at] if item.server in changed else item for at, item in enumerate(before)]
    async with PROVIDER.bind({}).open() as subject:
        index = await (await subject.build(before)).refresh(
            {server: [item for item in after if item.server == server] for server in changed}
        )
        anew = await subject.build(mixed)
        for number in range(60):
            query = Query(text=f"word{number} word{(number * 7) % 60}", limit=140, explain=True)
            assert await index.search(query) == await anew.search(query)


async def test_only_the_server_that_changed_is_analysed_again(monkeypatch):
    analysed, analyse = [], index_builder.analyse_section

    def noted(server, documents):
        analysed.append(server)
        return analyse(server, documents)

    monkeypatch.setattr(index_builder, "analyse_section", noted)
    documents = catalogue(1)
    async with PROVIDER.bind({}).open() as subject:
        index = await subject.build(documents)
        assert sorted(analysed) == [f"server{number}" for number in range(7)]
        analysed.clear()
        index = await index.refresh({"server2": documents[2:3], "server4": ()})
    assert analysed == ["server2"]
    assert {hit.id.partition("__")[0] for hit in (await index.search(Query(text="tool", limit=200))).hits} <= {
        "server0",
        "server1",
        "server2",
        "server3",
        "server5",
        "server6",
    }
