"""Replicas: one asks a server for all, a change reaches all, and nobody waits long for one that is gone."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import pytest
import structlog

from mcp_gateway.catalog.listing import Listing
from mcp_gateway.catalog.server_health import State
from mcp_gateway.plugin import ANONYMOUS, Caller, LeaseStorage, PubSubStorage, Query, StorageError
from mcp_gateway.storage import replica_coordination as module
from mcp_gateway.storage.listings import PREFIX, ListingStore, identity
from mcp_gateway.storage.resilient import ResilientStorage

from ..support.fake_plugins import MemoryStorage
from ..support.fake_servers import Remote, tool, until

ABLE_CALLER = Caller(client="able", capabilities={"roots": {}})


class LeasingStorage(MemoryStorage):
    """A storage with leases. `asked` are the keys that were wanted, `holders` those who wanted one."""

    def __init__(self):
        super().__init__()
        self.asked = []
        self.holders = set()

    async def lease(self, key, holder, *, ttl):
        self.asked.append(key)
        self.holders.add(holder)
        return self.values.setdefault(key, holder)

    async def release(self, key, holder):
        if self.values.get(key) != holder:
            return False
        del self.values[key]
        return True


class SharedStorage(LeasingStorage):
    """A storage of several gateways in this process, that carries announcements, too."""

    def __init__(self):
        super().__init__()
        self.subscribers = []
        self.published = []

    async def publish(self, channel, message):
        self.published.append(json.loads(message))
        for subscriber in self.subscribers:
            subscriber.send_nowait(message)

    @asynccontextmanager
    async def subscribe(self, channel):
        send, receive = anyio.create_memory_object_stream(1000)
        self.subscribers.append(send)
        try:
            with send, receive:
                yield self._messages(receive)
        finally:
            self.subscribers.remove(send)

    async def _messages(self, receive):
        async for message in receive:
            if message is None:
                raise StorageError("the connection was lost")
            yield message


def test_the_storage_of_these_tests_is_what_it_should_be():
    assert isinstance(SharedStorage(), PubSubStorage)
    assert isinstance(LeasingStorage(), LeaseStorage)
    assert not isinstance(LeasingStorage(), PubSubStorage)
    assert not isinstance(MemoryStorage(), LeaseStorage)


@pytest.fixture
def open_replicas(gateway):
    """Open so many gateways with one storage, in front of the same server."""

    @asynccontextmanager
    async def opened(count, remote, shelf, **keys):
        async with AsyncExitStack() as stack:
            yield [
                await stack.enter_async_context(gateway({"alpha": remote}, storage=shelf, **keys)) for _ in range(count)
            ]

    return opened


def names(*opened):
    return [list(one.gateway.registry.catalog.full_names()) for one in opened]


async def wait_until_settled(*opened):
    await until(lambda: not any(one.gateway.discovery.running for one in opened))


def spec_of(opened):
    return opened.gateway.registry.specs["alpha"]


def lease_of(opened):
    return f"{PREFIX}lease:{identity(spec_of(opened))}"


# -- asking


@pytest.mark.parametrize("kind", [LeasingStorage, SharedStorage])
async def test_ten_that_start_together_ask_a_server_once(open_replicas, monkeypatch, kind):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    alpha, shelf = Remote(tool("x")), kind()
    alpha.may_list = anyio.Event()
    async with open_replicas(10, alpha, shelf) as opened:
        await until(lambda: len(shelf.holders) == 10)
        alpha.may_list.set()
        await wait_until_settled(*opened)
        assert names(*opened) == [["alpha__x"]] * 10
        assert alpha.listed == 1
        assert not [key for key in shelf.values if "lease" in key], "the turn was given back"


async def test_without_a_storage_with_leases_each_asks(open_replicas):
    alpha = Remote(tool("x"))
    alpha.may_list = anyio.Event()
    async with open_replicas(3, alpha, MemoryStorage()) as opened:
        await until(lambda: alpha.listed == 3)
        alpha.may_list.set()
        await wait_until_settled(*opened)
        assert names(*opened) == [["alpha__x"]] * 3


async def test_who_does_not_give_its_turn_back_is_waited_for_a_while_only(gateway, monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.1)
    shelf = SharedStorage()
    async with gateway({"alpha": Remote()}, storage=shelf, alpha={"auto_discover": False}) as opened:
        shelf.values[lease_of(opened)] = b"somebody who is gone"
    async with gateway({"alpha": Remote(tool("x"))}, storage=shelf) as opened:
        await wait_until_settled(opened)
        assert names(opened) == [["alpha__x"]]


async def test_a_turn_is_prolonged_as_long_as_the_server_takes(gateway, monkeypatch):
    monkeypatch.setattr(module, "PROLONG_SECONDS", 0.01)
    alpha, shelf = Remote(tool("x")), SharedStorage()
    alpha.may_list = anyio.Event()
    async with gateway({"alpha": alpha}, storage=shelf) as opened:
        await until(lambda: shelf.asked.count(lease_of(opened)) > 5)
        alpha.may_list.set()
        await wait_until_settled(opened)
        before = len(shelf.asked)
        await anyio.sleep(0.05)
        assert len(shelf.asked) == before


async def test_the_next_one_asks_if_the_first_did_not_get_an_answer(open_replicas, monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    alpha = Remote(tool("x"))
    alpha.refusal = OSError("no route")
    async with open_replicas(3, alpha, SharedStorage(), alpha={"max_retries": 0}) as opened:
        await wait_until_settled(*opened)
        assert len(alpha.opened) == 3
        assert {one.gateway.registry.states["alpha"].name for one in opened} == {State.DOWN}


@pytest.mark.parametrize("error", [StorageError("refused"), RuntimeError("a bug")], ids=lambda e: type(e).__name__)
async def test_a_storage_that_fails_to_lease_or_publish_stops_nothing(gateway, error):
    class Failing(SharedStorage):
        async def lease(self, *_, **__):
            raise error

        release = announce = lease

    async with gateway({"alpha": Remote(tool("x"))}, storage=Failing()) as opened:
        await wait_until_settled(opened)
        assert names(opened) == [["alpha__x"]]


# -- hearing


async def test_a_change_that_one_sees_reaches_all(open_replicas):
    alpha, shelf = Remote(tool("x"), handshake=True), SharedStorage()
    async with open_replicas(1, alpha, shelf) as first:
        await wait_until_settled(*first)
        async with open_replicas(3, alpha, shelf) as others:
            await wait_until_settled(*first, *others)
            assert (alpha.open, alpha.listed) == (1, 1), "the others found it in storage"
            alpha.tools = [tool("new")]
            await alpha.announce()
            await until(lambda: names(*first, *others) == [["alpha__new"]] * 4)
            await wait_until_settled(*first, *others)
            assert (alpha.open, alpha.listed) == (1, 2)


async def test_a_change_that_all_see_is_asked_for_twice_at_the_most(open_replicas, monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    alpha, shelf = Remote(tool("x"), handshake=True), SharedStorage()
    async with open_replicas(5, alpha, shelf) as opened:
        await wait_until_settled(*opened)
        for one in opened:
            await one.gateway.call("alpha__x", {}, ANONYMOUS)
        assert alpha.open == 5
        before = alpha.listed
        shelf.holders.clear()
        alpha.tools = [tool("new")]
        alpha.may_list = anyio.Event()
        await alpha.announce()
        await until(lambda: len(shelf.holders) == 5)
        alpha.may_list.set()
        await until(lambda: names(*opened) == [["alpha__new"]] * 5)
        await wait_until_settled(*opened)
        assert alpha.listed - before == 2, "the first may have asked before the others heard of the change"


async def test_what_a_client_has_discovered_at_one_is_found_at_all(open_replicas):
    alpha = Remote(tool("x"))
    async with open_replicas(2, alpha, SharedStorage(), alpha={"auto_discover": False}) as (one, other):
        await wait_until_settled(one, other)
        await one.gateway.discover("alpha", ANONYMOUS)
        await until(lambda: names(other) == [["alpha__x"]])
        assert other.gateway.registry.states["alpha"].name is State.READY
        assert alpha.listed == 1


async def test_definitions_that_are_still_the_same_only_grow_younger(open_replicas):
    shelf = SharedStorage()
    async with open_replicas(2, Remote(tool("x")), shelf) as (one, other):
        await wait_until_settled(one, other)
        before = other.gateway.registry.catalog
        await one.gateway.discover("alpha", ANONYMOUS)
        await until(lambda: other.gateway.registry.catalog is not before)
        after = other.gateway.registry.catalog
        assert after.revision == before.revision
        assert after.servers["alpha"].fetched > before.servers["alpha"].fetched


async def test_a_message_that_is_lost_is_made_up_for_when_that_is_noticed(open_replicas, monkeypatch):
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    alpha, shelf = Remote(tool("x")), SharedStorage()
    async with open_replicas(2, alpha, shelf) as (one, other):
        await wait_until_settled(one, other)
        await until(lambda: len(shelf.subscribers) == 2)
        subscribers = shelf.subscribers[:]
        shelf.subscribers.clear()
        alpha.tools = [tool("new")]
        await one.gateway.discover("alpha", ANONYMOUS)
        assert names(other) == [["alpha__x"]]
        shelf.subscribers += subscribers
        for subscriber in subscribers:
            subscriber.send_nowait(None)
        await until(lambda: names(other) == [["alpha__new"]])


async def test_a_message_that_is_lost_unnoticed_is_made_up_for_when_definitions_grow_old(open_replicas):
    alpha, shelf = Remote(tool("x")), SharedStorage()
    async with open_replicas(2, alpha, shelf) as (one, other):
        await wait_until_settled(one, other)
        await until(lambda: len(shelf.subscribers) == 2)
        subscribers = shelf.subscribers[:]
        shelf.subscribers.clear()
        alpha.tools = [tool("new")]
        listing = await one.gateway.discover("alpha", ANONYMOUS)
        shelf.subscribers += subscribers
        ttl = other.gateway.registry.catalog.servers["alpha"].age
        other.gateway.discovery.shared.definitions.ttl = (ttl + listing.age) / 2
        await other.gateway.search(Query(text="new"), ANONYMOUS)
        assert names(other) == [["alpha__new"]]


@pytest.mark.parametrize(
    "message",
    [b"", b"{", b"3", b"\xff", b'{"server": "alpha"}', b'{"digest": "d", "fetched": 1, "turn": "", "server": 3}']
    + [json.dumps({"digest": "d", "fetched": 1, "turn": "", "server": name}).encode() for name in ("alpha", "gone:f")],
)
async def test_messages_that_make_no_sense_are_ignored(gateway, message):
    shelf = SharedStorage()
    async with gateway({"alpha": Remote(tool("x"))}, storage=shelf) as opened:
        await wait_until_settled(opened)
        await until(lambda: shelf.subscribers)
        await shelf.subscribers[0].send(message)
        await opened.gateway.discover("alpha", ANONYMOUS)
        assert names(opened) == [["alpha__x"]]
        assert shelf.subscribers


async def test_who_knows_of_clients_that_can_do_more_asks_again_and_the_others_take_that(open_replicas):
    alpha = Remote(tool("x"))
    async with open_replicas(2, alpha, SharedStorage()) as (one, other):
        await wait_until_settled(one, other)
        other.gateway.discovery.on_client_initialized(ABLE_CALLER)
        alpha.tools = [tool("new")]
        await one.gateway.discover("alpha", ANONYMOUS)

        def declared():
            return [opened.gateway.registry.catalog.servers["alpha"].client_capabilities for opened in (one, other)]

        await until(lambda: declared() == [{"roots": {}}] * 2)
        assert names(one, other) == [["alpha__new"]] * 2


async def test_announcements_that_fail_while_storage_works_are_warned_of_once(gateway, monkeypatch):
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.001)
    tried = []

    class UnsubscribableStorage(SharedStorage):
        def subscribe(self, channel):
            tried.append(channel)
            if len(tried) > 5:
                return super().subscribe(channel)
            raise StorageError("no permission")

    shelf = UnsubscribableStorage()
    with structlog.testing.capture_logs() as logs:
        async with gateway({"alpha": Remote(tool("x"))}, storage=shelf) as opened:
            await until(lambda: shelf.subscribers)
            await wait_until_settled(opened)
    said = [(entry["log_level"], entry["event"]) for entry in logs if "replica" in entry["event"]]
    assert said == [("warning", "replica updates lost"), ("info", "replica updates resumed")]


# -- starting warm


async def test_a_search_finds_what_is_in_storage_before_any_server_is_up(gateway):
    shelf, alpha = SharedStorage(), Remote(tool("x"))
    alpha.may_list = anyio.Event()
    async with gateway({"alpha": alpha}, storage=shelf, alpha={"auto_discover": False}) as opened:
        old = Listing("alpha", (tool("old"),), fetched=1000.0)
        await ListingStore(ResilientStorage(shelf), 300).save(spec_of(opened), old)
    async with gateway({"alpha": alpha}, storage=shelf) as opened:
        with anyio.fail_after(2):
            found = await opened.gateway.search(Query(text="old"), ANONYMOUS)
        assert [hit.id for hit in found.hits.hits] == ["alpha__old"]
        assert opened.gateway.registry.states["alpha"].name is State.STARTING
        alpha.may_list.set()
        await wait_until_settled(opened)
        assert names(opened) == [["alpha__x"]]
        assert opened.gateway.registry.states["alpha"].name is State.READY
