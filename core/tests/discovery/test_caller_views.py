"""Views: what a server offers for one caller's credentials is shown to nobody else."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from mcp_gateway.catalog import overlays as module
from mcp_gateway.catalog.listing import Listing
from mcp_gateway.catalog.overlays import Overlays
from mcp_gateway.catalog.registry import Registry
from mcp_gateway.catalog.server_health import State
from mcp_gateway.catalog.snapshot import Catalog
from mcp_gateway.discovery.scheduler import RefreshScheduler
from mcp_gateway.plugin import ANONYMOUS, AuthError, Caller, Credentials, Query, ServerUnavailable
from mcp_gateway.search.indexes import Search

from ..support.fake_plugins import MemoryStorage, WordIndex, WordRanker
from ..support.fake_servers import Remote, tool, until
from ..support.gateway import ask, client, spec
from ..support.raw_client import HEADERS, call, dispatch

ANNA = Caller(headers={"authorization": "Bearer anna"}, client="anna")
BOB = Caller(headers={"authorization": "Bearer bob"}, client="bob")


class PersonalServer(Remote):
    """A server that offers each caller the tools of his own; `known` has them by `Authorization`."""

    carries_credentials = True

    def __init__(self, **known):
        super().__init__(credentials=True)
        self.known = {f"Bearer {name}": list(tools) for name, tools in known.items()}

    def connect(self, credentials):
        who = credentials.headers.get("Authorization", "nobody")
        if who not in self.known:
            raise AuthError("HTTP 401 Unauthorized")
        remote = self.remotes.setdefault(who, Remote(*self.known[who], handshake=True, credentials=True))
        remote.tools = self.known[who]
        return remote.connect(credentials)

    @property
    def remotes(self):
        return self.__dict__.setdefault("_remotes", {})


def dying(remote):
    """Return what ends every connection of a server instead of an answer."""

    async def die(_):
        await remote.die()
        await anyio.sleep_forever()

    return die


def personal_servers(**known):
    return {"own": PersonalServer(**known), "all": Remote(tool("shared"))}


async def tools_of(opened, caller):
    return list((await opened.gateway.resolver_for(caller, 5)).catalog.full_names())


async def test_each_caller_sees_what_all_see_and_his_own_part(gateway):
    remotes = personal_servers(anna=[tool("diary")], bob=[tool("ledger"), tool("till")])
    async with gateway(remotes, own={"auth_type": "forward"}) as opened:
        assert await tools_of(opened, ANNA) == ["own__diary", "all__shared"]
        assert await tools_of(opened, BOB) == ["own__ledger", "own__till", "all__shared"]
        assert await tools_of(opened, ANONYMOUS) == ["all__shared"]
        assert list(opened.gateway.registry.catalog.full_names()) == ["all__shared"]


async def test_a_search_finds_the_callers_own_part_and_no_one_elses(gateway):
    remotes = personal_servers(anna=[tool("diary")], bob=[tool("ledger")])
    async with gateway(remotes, own={"auth_type": "forward"}) as opened:
        for caller, found in ((ANNA, ["own__diary"]), (BOB, []), (ANONYMOUS, [])):
            hits = (await opened.gateway.search(Query(text="diary"), caller)).hits
            assert [hit.id for hit in hits.hits] == found
            assert "diary" not in str(hits.hints) or caller is ANNA
        assert (await opened.gateway.search(Query(text="shared"), BOB)).hits.total == 1


async def test_nobody_calls_a_tool_that_only_another_one_sees_and_no_error_tells_of_it(gateway):
    remotes = personal_servers(anna=[tool("diary")], bob=[tool("ledger")])
    async with gateway(remotes, own={"auth_type": "forward"}) as opened:
        await opened.gateway.call("own__diary", {}, ANNA)
        with pytest.raises(Exception, match="has no tool 'diry'") as caught:
            await opened.gateway.call("own__diry", {}, BOB)
        assert "diary" not in str(caught.value)


async def test_a_tool_of_anothers_is_unknown_to_requests_that_come_as_bytes(gateway):
    remotes = personal_servers(anna=[tool("diary")], bob=[tool("ledger")])
    async with gateway(remotes, own={"auth_type": "forward"}) as opened:
        await tools_of(opened, ANNA)
        answers = {}
        for caller in (ANNA, BOB):
            sent = {**HEADERS, "mcp-name": "own__diary", **caller.headers}
            answers[caller.client] = await dispatch(opened, call("own__diary"), sent)
        assert answers["anna"]["result"]["content"][0]["text"] == "done"
        assert "own__diary" not in opened.gateway.views.personal.view({}).catalog.servers
        assert "has no tool 'diary'" in answers["bob"]["error"]["message"]


async def test_the_annotations_for_another_caller_are_no_permission_to_repeat(gateway):
    def private(annotations):
        return {**tool("diary"), "annotations": annotations}

    remotes = personal_servers(anna=[private({"readOnlyHint": True})], bob=[private({})])
    async with gateway(remotes, own={"auth_type": "forward", "max_retries": 1}) as opened:
        for caller, times in ((ANNA, 2), (BOB, 1)):
            await tools_of(opened, caller)
            own = remotes["own"].remotes[caller.headers["authorization"]]
            own.answers["diary"] = dying(own)
            sent = {**HEADERS, "mcp-name": "own__diary", **caller.headers}
            result = (await dispatch(opened, call("own__diary"), sent))["result"]
            assert "whether the request was carried out is not known" in result["structuredContent"]["error"]
            assert len(own.calls) == times


async def test_credentials_that_differ_are_never_taken_for_the_same(gateway):
    async with gateway(personal_servers()) as opened:
        key = opened.gateway.views.personal.key
        one, other = Credentials.of({"a": "b", "c": "d"}), Credentials.of({"a": "b\0c\0d"})
        assert key("own", one) == key("own", Credentials.of({"c": "d", "a": "b"}))
        assert key("own", one) != key("own", other)
        assert key("own", one) != key("all", one)


async def test_what_one_caller_may_not_have_is_noted_for_him_only(gateway):
    async with gateway(
        personal_servers(anna=[tool("diary")]), own={"auth_type": "forward", "max_retries": 0}
    ) as opened:
        for caller in (ANNA, BOB, ANONYMOUS):
            await tools_of(opened, caller)
        notes = {caller.client: await opened.gateway.notes(caller) for caller in (ANNA, BOB, ANONYMOUS)}
        assert notes["anna"] == []
        assert "HTTP 401 Unauthorized" in notes["bob"][0]
        assert "it wants the caller's own" in notes[None][0]


async def test_nothing_of_it_goes_into_storage(gateway):
    shelf = MemoryStorage()
    remotes = personal_servers(anna=[tool("diary")])
    async with gateway(remotes, own={"auth_type": "forward"}, storage=shelf) as opened:
        assert "own__diary" in await tools_of(opened, ANNA)
    assert "diary" not in str(shelf.values)
    assert "anna" not in f"{shelf.values} {shelf.ttls}"


async def test_an_auth_header_of_one_call_shows_nothing_to_others_nor_to_other_calls(gateway):
    async with gateway(personal_servers(anna=[tool("diary")]), own={"auth_type": "forward"}) as opened:
        once = replace(ANONYMOUS, auth_header="Bearer anna")
        await opened.gateway.call("own__diary", {}, once)
        assert await tools_of(opened, ANONYMOUS) == ["all__shared"]


async def test_an_auth_header_is_sent_to_the_server_of_its_call_only(gateway):
    remotes = {"one": Remote(tool("x"), credentials=True), "two": Remote(tool("y"), credentials=True)}
    async with gateway(remotes) as opened:
        await until(lambda: not opened.gateway.discovery.running)
        await opened.gateway.call("one__x", {}, replace(ANONYMOUS, auth_header="Bearer once"))
        assert {"Authorization": "Bearer once"} in remotes["one"].opened
        assert {"Authorization": "Bearer once"} not in remotes["two"].opened


async def test_news_of_a_callers_own_part_reach_that_caller_only(gateway):
    remotes = personal_servers(anna=[tool("diary")], bob=[tool("ledger")])
    async with gateway(remotes, own={"auth_type": "forward", "expose_tools": True}) as opened:
        changes = []
        await tools_of(opened, ANNA)
        await tools_of(opened, BOB)
        opened.gateway.events.caller_catalog_changed.subscribe(lambda *change: changes.append(change))
        remotes["own"].known["Bearer anna"].append(tool("album"))
        await remotes["own"].remotes["Bearer anna"].announce()
        await until(lambda: changes)
        assert [(server, clients) for server, _, _, clients in changes] == [("own", frozenset({"anna"}))]
        assert await tools_of(opened, ANNA) == ["own__diary", "own__album", "all__shared"]
        assert await tools_of(opened, BOB) == ["own__ledger", "all__shared"]


async def test_a_server_that_announces_changes_all_the_time_is_asked_rarely(monkeypatch):
    waited = []

    async def sleep(seconds):
        waited.append(seconds)

    monkeypatch.setattr("anyio.sleep", sleep)
    async with anyio.create_task_group() as tasks:
        scheduler = RefreshScheduler(tasks)
        for _ in range(12):
            await scheduler.wait_quiet(("own", b"anna"))
    assert waited[:4] == [0.1, 0.2, 0.4, 0.8]
    assert waited[-1] == 60.0


async def test_a_caller_does_not_wait_for_the_servers_of_another_one(gateway):
    remotes = personal_servers(anna=[tool("diary")])
    hanging = anyio.Event()
    async with gateway(remotes, own={"auth_type": "forward"}) as opened, anyio.create_task_group() as tasks:
        await until(lambda: not opened.gateway.discovery.running)
        remotes["own"].remotes["Bearer anna"] = held = Remote(tool("diary"), credentials=True)
        held.may_list = hanging
        tasks.start_soon(tools_of, opened, ANNA)
        await held.listing.wait()
        with anyio.fail_after(3):
            assert await tools_of(opened, BOB) == ["all__shared"]
        hanging.set()


async def test_a_server_that_failed_for_a_caller_is_left_alone_for_a_while(gateway):
    remotes = personal_servers()
    async with gateway(remotes, own={"auth_type": "forward", "max_retries": 0}) as opened:
        for _ in range(3):
            assert await tools_of(opened, ANNA) == ["all__shared"]
        view = await opened.gateway.views.view_of(ANNA)
        assert view.states["own"].name is State.NEEDS_LOGIN
        with pytest.raises((AuthError, ServerUnavailable)):
            await opened.gateway.discover("own", ANNA)


async def test_lists_that_callers_see_differently_are_private(gateway):
    remotes = personal_servers(anna=[tool("diary")])
    async with gateway(remotes, own={"auth_type": "forward", "expose_tools": True}) as opened:
        await tools_of(opened, ANNA)
        async with client(opened) as connection:
            assert (await connection.request("tools/list", {}))["cacheScope"] == "private"
            assert "own__diary" not in str(await connection.request("tools/list", {}))
            assert (await ask(connection, "tool_search", {"query": "diary"}))["structuredContent"]["tools"] == []


# -- what is kept


@pytest.fixture
async def personal():
    async with anyio.create_task_group() as tasks:
        kept = Overlays(Registry.of((spec("own"),), ()), 100.0, RefreshScheduler(tasks))
        kept.registry.put(Listing("own", (tool("shared"),)))
        yield kept


def key(personal, who):
    return personal.key("own", Credentials.of({"Authorization": who}))


async def test_a_key_tells_nothing_of_the_credentials_and_differs_between_processes(personal):
    assert "anna" not in str(key(personal, "anna"))
    assert key(personal, "anna") == key(personal, "anna") != key(personal, "bob")
    assert key(personal, "anna") != key(Overlays(personal.registry, 1.0, personal.refreshes), "anna")


async def test_it_is_forgotten_after_a_while(personal):
    personal.put(key(personal, "anna"), Listing("own", (tool("diary"),)))
    found = personal.view({"own": key(personal, "anna")})
    assert list(found.catalog.full_names()) == ["own__diary"]
    personal.idle = -1.0
    personal.entry(key(personal, "bob"))
    assert personal.listing("own", Credentials.of({"Authorization": "anna"})) is None
    assert list(personal.view({"own": key(personal, "anna")}).catalog.full_names()) == ["own__shared"]


async def test_the_pause_of_what_is_forgotten_is_forgotten_too(personal):
    anna = key(personal, "anna")
    for forget in (lambda: personal.forget_servers(["own"]), lambda: personal.entry(key(personal, "bob"))):
        personal.entry(anna)
        personal.refreshes.on_failure(anna)
        personal.idle = -1.0
        forget()
        assert not personal.has(anna)
        assert not personal.refreshes.is_paused(anna)
        personal.idle = 100.0


async def test_callers_to_whom_a_server_offers_the_same_share_a_copy_of_it(personal):
    for who, fetched in (("anna", 1.0), ("bob", 2.0)):
        personal.put(key(personal, who), Listing("own", (tool("diary"),), fetched=fetched))
    anna, bob = (personal.entry(key(personal, who)) for who in ("anna", "bob"))
    assert anna.listing is bob.listing
    assert (anna.fetched, bob.fetched) == (1.0, 2.0)


async def test_there_is_a_most_of_it_and_what_failed_goes_first(personal, monkeypatch):
    monkeypatch.setattr(module, "MAX_HELD", 3)
    personal.put(key(personal, "anna"), Listing("own", (tool("diary"),)))
    for number in range(10):
        personal.entry(key(personal, f"wrong-{number}"))
    assert len(personal._held) == 3
    assert personal.listing("own", Credentials.of({"Authorization": "anna"})) is not None
    for number in range(10):
        personal.put(key(personal, f"right-{number}"), Listing("own", (tool("x"),)))
    assert len(personal._held) == 3
    assert personal.listing("own", Credentials.of({"Authorization": "anna"})) is None


async def test_the_catalogs_of_the_callers_who_came_last_are_kept_ready(personal, monkeypatch):
    monkeypatch.setattr(module, "MAX_VIEWS", 2)
    kept = Overlays(personal.registry, 100.0, personal.refreshes)
    for who in ("anna", "bob", "eve"):
        kept.put(key(kept, who), Listing("own", (tool(who),)))

    def view(who):
        return kept.view({"own": key(kept, who)}).catalog

    anna, bob = view("anna"), view("bob")
    assert view("anna") is anna
    view("eve")  # takes the place of bob, who was here before anna
    assert view("anna") is anna
    assert view("bob") is not bob
    assert len(kept._views) == 2


# -- searching it


def seen(*names):
    shared = Catalog().with_listing(Listing("all", (tool("read"), tool("write"))), ["all", "own"])
    return shared.with_overlay({"own": Listing("own", tuple(tool(name) for name in names))}, ["all", "own"])


async def test_callers_who_see_the_same_share_an_index():
    words = WordRanker()
    search = Search({"bm25": words}, "bm25")
    shared = seen("diary").base
    for view in (shared, seen("diary"), seen("diary"), shared):
        assert (await search.find(replace(view, base=view.base and shared), Query(text="read"))).hits.total == 1
    assert words.built == 2


async def test_the_callers_own_part_is_added_to_the_index_that_all_use():
    refreshed = []

    class Refreshing(WordIndex):
        async def refresh(self, changed):
            refreshed.append({server: [item.name for item in documents] for server, documents in changed.items()})
            more = {item.id: item.name for documents in changed.values() for item in documents}
            return Refreshing(self.ranker, {**self.texts, **more})

    class Ranker(WordRanker):
        async def build(self, documents):
            return Refreshing(self, (await super().build(documents)).texts)

    search = Search({"mine": Ranker()}, "mine")
    assert [hit.id for hit in (await search.find(seen("diary"), Query(text="diary"))).hits.hits] == ["own__diary"]
    assert refreshed == [{"own": ["diary"]}]
    assert (await search.find(seen("diary").base, Query(text="diary"))).hits.total == 0


async def test_there_is_a_most_of_such_indexes(monkeypatch):
    monkeypatch.setattr("mcp_gateway.search.indexes.MAX_OVERLAID", 2)
    search = Search({"bm25": WordRanker()}, "bm25")
    for name in ("a", "b", "c", "d"):
        await search.find(seen(name), Query(text=name))
    assert len(search._built) == len(search._building) == 3, "the one of all, and the last two"
