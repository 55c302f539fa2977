"""What is around a ranker: the others, and a part of the storage that is its own."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from mcp_gateway.plugin import Document, Options, PluginError, Provider, Query, RankerContext
from mcp_gateway.storage.key_prefix import PrefixedStorage
from mcp_gateway.storage.resilient import ResilientStorage

from ..support.fake_plugins import MemoryStorage, WordRanker, provider
from ..support.fake_servers import Remote, tool
from ..support.gateway import ask, client


class StackedRanker:
    """A ranker that counts its documents in storage and lets another one search."""

    def __init__(self, context, lower):
        self.context, self.lower = context, lower

    async def build(self, documents):
        await self.context.storage.set("count", str(len(documents)).encode())
        return await self.lower.build(documents)


@asynccontextmanager
async def stacked(_, context=None):
    context = context or RankerContext.from_installed(exclude="stacked")
    async with context.ranker("words") as lower:
        yield StackedRanker(context, lower)


STACKED = Provider(name="stacked", summary="on words", options=Options, build=stacked, build_in=stacked)
DOCUMENTS = [Document(id="a__read", server="a", name="read")]


async def test_a_ranker_may_stack_another_one():
    context = RankerContext(
        MemoryStorage(), {"words": provider("words", WordRanker()).bind({}), "stacked": STACKED.bind({})}
    )
    async with STACKED.bind({}).open_in(context) as ranker:
        answer = await (await ranker.build(DOCUMENTS)).search(Query(text="read"))
    assert answer.total == 1
    assert context.storage.values == {"count": b"1"}


async def test_the_error_for_an_unknown_lower_ranker_lists_those_there_are():
    context = RankerContext(MemoryStorage(), {"words": provider("words", WordRanker()).bind({})})
    with pytest.raises(PluginError, match="there is no ranker 'wrods' to stack on; there is: words"):
        async with context.ranker("wrods"):
            pass


async def test_two_rankers_cannot_stack_each_other():
    @asynccontextmanager
    async def other(_, context):
        async with context.ranker("stacked") as lower:
            yield lower

    circle = Provider(name="words", summary="on stacked", options=Options, build=stacked, build_in=other)
    rankers = {"words": circle.bind({}), "stacked": STACKED.bind({})}
    with pytest.raises(PluginError, match="there is no ranker 'stacked' to stack on; there is: none"):
        async with rankers["stacked"].open_in(RankerContext(MemoryStorage(), {"words": rankers["words"]})):
            pass


async def test_a_provider_that_wants_nothing_is_opened_as_ever():
    words = WordRanker()
    async with provider("words", words).bind({}).open_in(RankerContext(MemoryStorage(), {})) as ranker:
        assert ranker is words


async def test_where_there_is_no_gateway_the_installed_rankers_are_around(install):
    source = """
from contextlib import asynccontextmanager
from mcp_gateway.plugin import Options, Provider, hookimpl
GATEWAY_API = 1
@asynccontextmanager
async def build(options):
    yield "the product"
@hookimpl
def mcp_gateway_rankers():
    yield Provider(name="found", summary="found", options=Options, build=build)
    yield Provider(name="mine", summary="mine", options=Options, build=build)
"""
    install("a-ranker", modules={"a_ranker_module": source}, ranker_found="a_ranker_module")
    context = RankerContext.from_installed(exclude="mine")
    assert "found" in context.rankers
    assert "mine" not in context.rankers
    async with context.ranker("found") as ranker:
        assert ranker == "the product"
    await context.storage.set("a", b"1")
    await context.storage.set("b", b"2", ttl=-1)
    assert (await context.storage.get("a"), await context.storage.get("b")) == (b"1", None)
    assert [key async for key in context.storage.keys("")] == ["a"]
    assert (await context.storage.delete("a"), await context.storage.delete("a")) == (True, False)


async def test_a_compartment_sees_its_own_keys_only():
    whole = MemoryStorage()
    one, two = (PrefixedStorage(whole, f"ranker:{name}:", ResilientStorage(whole)) for name in ("one", "two"))
    await one.set("key", b"1", ttl=5.0)
    await two.set("key", b"2")
    assert (await one.get("key"), await two.get("key")) == (b"1", b"2")
    assert [key async for key in one.keys("k")] == ["key"]
    assert whole.ttls["ranker:one:key"] == 5.0
    assert await one.delete("key")
    assert list(whole.values) == ["ranker:two:key"]


async def test_the_gateway_gives_its_rankers_what_is_around_them(gateway):
    @asynccontextmanager
    async def on_bm25(_, context):
        async with context.ranker("bm25") as lower:
            yield StackedRanker(context, lower)

    upper = Provider(name="upper", summary="on bm25", options=Options, build=on_bm25, build_in=on_bm25)
    storage, remotes = MemoryStorage(), {"a": Remote(tool("read"))}
    async with gateway(remotes, storage=storage, rankers=[upper]) as opened, client(opened) as connection:
        answer = await ask(connection, "tool_search", {"query": "read", "ranker": "upper"})
    assert answer["structuredContent"]["total_matches"] == 1
    assert storage.values["mcp-gateway:2:ranker:upper:count"] == b"1"
