"""Discovery: in the background, each server by itself, from storage where that is fresh."""

from __future__ import annotations

import time
from dataclasses import replace

import anyio
import pytest
from structlog.testing import capture_logs

from mcp_gateway.catalog import server_health
from mcp_gateway.catalog.listing import Listing
from mcp_gateway.catalog.server_health import State
from mcp_gateway.discovery import health_probe as recovery
from mcp_gateway.plugin import ANONYMOUS, AuthError, Caller, Query, ServerUnavailable, StorageError
from mcp_gateway.sessions import circuit_breaker as breaker
from mcp_gateway.sessions.session_key import SessionKey
from mcp_gateway.storage.listings import ListingStore
from mcp_gateway.storage.resilient import ResilientStorage

from ..support.fake_plugins import Forward, MemoryStorage
from ..support.fake_servers import Remote, ScriptedTransport, tool, until
from ..support.gateway import spec


def state(opened, name="alpha"):
    return opened.gateway.registry.states[name].name


def names(opened):
    return list(opened.gateway.registry.catalog.full_names())


async def wait_until_settled(opened):
    await until(lambda: not opened.gateway.discovery.running)


async def test_it_runs_in_the_background_while_the_gateway_is_open_already(gateway):
    alpha = Remote(tool("x"))
    alpha.may_list = anyio.Event()
    async with gateway({"alpha": alpha}) as opened:
        await alpha.listing.wait()
        assert (state(opened), names(opened)) == (State.STARTING, [])
        alpha.may_list.set()
        await wait_until_settled(opened)
        assert (state(opened), names(opened)) == (State.READY, ["alpha__x"])


async def test_a_server_that_hangs_or_fails_delays_no_other(gateway):
    hangs, fails, works = Remote(tool("x")), Remote(tool("y")), Remote(tool("z"))
    hangs.may_list, fails.refusal = anyio.Event(), OSError("no route")
    async with gateway({"hangs": hangs, "fails": fails, "works": works}, fails={"max_retries": 0}) as opened:
        await until(lambda: state(opened, "works") is State.READY and state(opened, "fails") is State.DOWN)
        assert names(opened) == ["works__z"]
        assert state(opened, "hangs") is State.STARTING
        assert opened.gateway.registry.states["fails"].reason == "server 'fails' is not available: OSError: no route"


async def test_a_server_that_is_not_to_be_asked_is_asked_on_request_only(gateway):
    alpha = Remote(tool("x"))
    async with gateway({"alpha": alpha}, alpha={"auto_discover": False}) as opened:
        await wait_until_settled(opened)
        assert (state(opened), alpha.opened) == (State.IDLE, [])
        found = await opened.gateway.discover("alpha", ANONYMOUS)
        assert [definition["name"] for definition in found.tools] == ["x"]
        assert state(opened) is State.READY


async def test_a_server_without_tools_has_none(gateway):
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "a", "version": "1"}}
    async with gateway({"alpha": ScriptedTransport({"initialize": hello})}) as opened:
        await wait_until_settled(opened)
        assert (state(opened), names(opened)) == (State.READY, [])


async def test_a_server_that_declares_tools_and_does_not_list_them_is_broken(gateway):
    hello = {
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "a", "version": "1"},
    }
    async with gateway({"alpha": ScriptedTransport({"initialize": hello})}) as opened:
        await wait_until_settled(opened)
        assert state(opened) is State.DEGRADED
        assert "did not list its tools: Method not found" in opened.gateway.registry.states["alpha"].reason


async def test_what_a_server_says_of_itself_is_kept(gateway):
    alpha, beta = Remote(instructions="It tells\nthe time."), Remote(handshake=True, title="Beta's title")
    async with gateway({"alpha": alpha, "beta": beta}) as opened:
        await wait_until_settled(opened)
        servers = opened.gateway.registry.catalog.servers
        assert {name: servers[name].description for name in servers} == {
            "alpha": "It tells the time.",
            "beta": "Beta's title",
        }


# -- change


async def test_news_of_a_server_refresh_that_server_only(gateway):
    alpha, beta = Remote(tool("x"), handshake=True), Remote(tool("y"), handshake=True)
    async with gateway({"alpha": alpha, "beta": beta}) as opened:
        await wait_until_settled(opened)
        alpha.tools = [tool("new")]
        await alpha.announce()
        await until(lambda: names(opened) == ["alpha__new", "beta__y"])
    assert (alpha.listed, beta.listed) == (2, 1)


async def test_news_that_come_while_the_server_is_asked_are_not_lost(gateway):
    alpha = Remote(tool("x"), handshake=True)
    alpha.may_list = anyio.Event()
    async with gateway({"alpha": alpha}) as opened:
        await alpha.listing.wait()
        await alpha.announce()
        await alpha.announce()
        await anyio.wait_all_tasks_blocked()
        alpha.may_list.set()
        await wait_until_settled(opened)
    assert alpha.listed == 2


async def test_an_answer_that_comes_late_replaces_no_newer_one(gateway):
    alpha = Remote(tool("old"), handshake=True)
    alpha.may_list = held = anyio.Event()
    async with gateway({"alpha": alpha}) as opened:
        await alpha.listing.wait()  # the answer to the first request is on its way
        alpha.may_list, alpha.tools = None, [tool("new")]
        await opened.gateway.discover("alpha", ANONYMOUS)
        assert names(opened) == ["alpha__new"]
        held.set()
        await wait_until_settled(opened)
        assert names(opened) == ["alpha__new"]


async def test_memory_is_given_back_after_a_server_was_asked_also_if_nothing_has_changed(gateway):
    alpha, asked = Remote(tool("x")), list[int]()
    async with gateway({"alpha": alpha}) as opened:
        await wait_until_settled(opened)
        opened.gateway.events.server_asked.subscribe(lambda: asked.append(1))
        await opened.gateway.discover("alpha", ANONYMOUS)
        assert asked == [1]
        alpha.refusal = OSError("no route")
        await alpha.die()
        with pytest.raises(ServerUnavailable):
            await opened.gateway.discover("alpha", ANONYMOUS)
        assert len(asked) > 1


async def test_other_news_change_nothing(gateway):
    alpha = Remote(tool("x"), handshake=True)
    async with gateway({"alpha": alpha}) as opened:
        await wait_until_settled(opened)
        opened.gateway.discovery.on_list_changed(SessionKey(spec("alpha")), "notifications/resources/updated", {})
        assert not opened.gateway.discovery.running


async def test_definitions_that_have_grown_old_are_asked_for_again_at_the_next_search(gateway):
    alpha = Remote(tool("x"))
    async with gateway({"alpha": alpha}) as opened:
        await wait_until_settled(opened)
        opened.gateway.discovery.refresh_stale(ANONYMOUS)
        assert not opened.gateway.discovery.running
        opened.gateway.discovery.shared.definitions.ttl = 0.0
        alpha.tools = [tool("y")]
        await opened.gateway.search(Query(text="y"), ANONYMOUS)
        assert names(opened) == ["alpha__y"]


async def test_a_server_that_failed_is_left_alone_for_a_while_which_grows(gateway, monkeypatch):
    monkeypatch.setattr(breaker, "MAX_FAILURES", 1000)
    monkeypatch.setattr(recovery, "FIRST_PAUSE", 1000.0)
    alpha = Remote(tool("x"))
    alpha.refusal = OSError("no route")
    async with gateway({"alpha": alpha}, alpha={"max_retries": 0}) as opened:
        discovery = opened.gateway.discovery
        await wait_until_settled(opened)
        discovery.refresh_stale(ANONYMOUS)
        assert (len(alpha.opened), discovery.running) == (1, False)
        pauses = [discovery.scheduler._pauses["alpha", None].seconds]
        for _ in range(8):
            discovery.scheduler._pauses["alpha", None].until = 0.0
            discovery.refresh_stale(ANONYMOUS)
            await wait_until_settled(opened)
            pauses.append(discovery.scheduler._pauses["alpha", None].seconds)
        assert pauses == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0, 300.0]
        alpha.refusal = None
        await opened.gateway.discover("alpha", ANONYMOUS)
        assert discovery.scheduler._pauses == {}


async def test_attempts_that_somebody_asks_for_lengthen_no_pause_and_are_not_told_again(gateway):
    alpha = Remote(tool("x"))
    alpha.refusal = OSError("no route")
    with capture_logs() as logs:
        async with gateway({"alpha": alpha}, alpha={"max_retries": 0}) as opened:
            await wait_until_settled(opened)
            for _ in range(4):
                with pytest.raises(ServerUnavailable):
                    await opened.gateway.discover("alpha", ANONYMOUS)
            assert opened.gateway.discovery.scheduler._pauses["alpha", None].seconds == 5.0
    told = [line["log_level"] for line in logs if line["event"] == "discovery failed"]
    assert (told[0], told.count("info")) == ("info", 1)
    assert len(told) > 1


async def test_a_server_that_goes_down_keeps_the_tools_it_had(gateway):
    alpha = Remote(tool("x"))
    async with gateway({"alpha": alpha}, alpha={"max_retries": 0}) as opened:
        await wait_until_settled(opened)
        alpha.refusal = OSError("no route")
        await alpha.die()
        await until(lambda: not alpha.open)
        with pytest.raises(ServerUnavailable):
            await opened.gateway.discover("alpha", ANONYMOUS)
        assert (state(opened), names(opened)) == (State.DEGRADED, ["alpha__x"])


# -- storage


async def test_fresh_definitions_come_from_storage_and_the_server_is_not_even_opened(gateway, read):
    shelf, alpha = MemoryStorage(), Remote(tool("x"))
    async with gateway({"alpha": Remote(tool("stored"))}, storage=shelf) as opened:
        await wait_until_settled(opened)
    async with gateway({"alpha": alpha}, storage=shelf) as opened:
        await wait_until_settled(opened)
        assert (state(opened), names(opened), alpha.opened) == (State.READY, ["alpha__stored"], [])


@pytest.mark.parametrize("seconds", [-301, 301], ids=["too old", "of a clock that was set back"])
async def test_definitions_that_are_not_of_now_are_not_taken(gateway, seconds):
    shelf, alpha = MemoryStorage(), Remote(tool("x"))
    async with gateway({"alpha": alpha}, storage=shelf) as opened:
        spec = opened.gateway.registry.specs["alpha"]
        await wait_until_settled(opened)
        stale = Listing("alpha", (tool("stale"),), fetched=time.time() + seconds)
        await ListingStore(ResilientStorage(shelf), 300).save(spec, stale)
    async with gateway({"alpha": alpha}, storage=shelf) as opened:
        await wait_until_settled(opened)
        assert names(opened) == ["alpha__x"]


class Failing(MemoryStorage):
    def __init__(self, error):
        super().__init__()
        self._error = error

    async def get(self, _):
        raise self._error

    async def set(self, *_, **__):
        raise self._error


@pytest.mark.parametrize(
    "error", [StorageError("refused"), RuntimeError("a bug"), OSError(5, "pipe")], ids=lambda e: type(e).__name__
)
async def test_storage_that_fails_in_whatever_way_stops_nothing(gateway, error):
    async with gateway({"alpha": Remote(tool("x"))}, storage=Failing(error)) as opened:
        await wait_until_settled(opened)
        assert names(opened) == ["alpha__x"]


# -- credentials


async def test_a_server_that_wants_the_callers_credentials_waits_for_a_caller_who_has_some(gateway):
    alpha = Remote(tool("x"), credentials=True)
    async with gateway({"alpha": alpha}, alpha={"auth_type": "forward"}) as opened:
        await wait_until_settled(opened)
        assert (state(opened), alpha.opened) == (State.NEEDS_LOGIN, [])
        opened.gateway.discovery.refresh_stale(ANONYMOUS)
        assert not opened.gateway.discovery.running
        found = await opened.gateway.search(Query(text="x"), Caller(headers={"authorization": "Bearer me"}))
        assert [hit.id for hit in found.hits.hits] == ["alpha__x"]
        assert (state(opened), names(opened)) == (State.NEEDS_LOGIN, []), "nobody else sees it"
        assert alpha.opened == [{"Authorization": "Bearer me"}]


async def test_one_callers_missing_credentials_do_not_take_away_what_is_known(gateway):
    alpha = Remote(tool("x"), credentials=True)
    async with gateway({"alpha": alpha}, alpha={"auth_type": "forward"}) as opened:
        me = Caller(headers={"authorization": "Bearer me"})
        await opened.gateway.discover("alpha", me)
        with pytest.raises(AuthError, match="server 'alpha'"):
            await opened.gateway.discover("alpha", ANONYMOUS)
        assert list((await opened.gateway.resolver_for(me)).catalog.full_names()) == ["alpha__x"]


async def test_an_auth_plugin_that_raises_an_unknown_error_stops_no_other_server(gateway, monkeypatch):
    async def fail(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(Forward, "credentials", fail)
    remotes = {"alpha": Remote(tool("x"), credentials=True), "beta": Remote(tool("y"))}
    async with gateway(remotes, alpha={"auth_type": "forward"}) as opened:
        await wait_until_settled(opened)
        assert (state(opened, "alpha"), names(opened)) == (State.DOWN, ["beta__y"])
        assert "a bug" not in opened.gateway.registry.states["alpha"].reason


# -- waiting


async def test_waiting_for_the_discoveries_under_way_has_an_end(gateway):
    alpha = Remote(tool("x"))
    alpha.may_list = anyio.Event()
    async with gateway({"alpha": alpha}) as opened:
        await alpha.listing.wait()
        with anyio.fail_after(5):
            await opened.gateway.discovery.wait_for_servers(0.05)
        assert opened.gateway.discovery.running


async def test_a_search_waits_for_servers_that_have_just_begun_to_start(gateway):
    alpha = Remote(tool("x"))
    alpha.may_list = anyio.Event()
    async with gateway({"alpha": alpha}) as opened, anyio.create_task_group() as tasks:
        found = []

        async def search():
            found.append(await opened.gateway.search(Query(text="x"), ANONYMOUS))

        tasks.start_soon(search)
        await alpha.listing.wait()
        alpha.may_list.set()
        await until(lambda: found)
        assert found[0].hits.total == 1


class Slow:
    """A ranker that is still ranking while a server becomes ready."""

    def __init__(self, inner, remote, opened):
        self.inner, self.remote, self.opened = inner, remote, opened
        self.asked = 0

    async def find(self, catalog, query, ranker=None):
        self.asked += 1
        found = await self.inner.find(catalog, query, ranker)
        if self.asked == self.remote.ready_at:
            self.remote.may_list.set()
            await wait_until_settled(self.opened)
        return found

    def prepare(self, catalog, ranker=None):
        pass


@pytest.mark.parametrize("ready_at, hits, notes", [(1, 1, 0), (2, 0, 1)])
async def test_what_becomes_ready_during_a_search_is_found_or_told(gateway, monkeypatch, ready_at, hits, notes):
    monkeypatch.setattr("mcp_gateway.gateway.gateway.SETTLE_SECONDS", 0.05)
    monkeypatch.setattr("mcp_gateway.gateway.gateway.SETTLE_EMPTY_SECONDS", 0.1)
    alpha = Remote(tool("x"))
    alpha.may_list, alpha.ready_at = anyio.Event(), ready_at
    async with gateway({"alpha": alpha}) as opened:
        slow = Slow(opened.gateway.finder, alpha, opened)
        found = await replace(opened.gateway, finder=slow).search(Query(text="x"), ANONYMOUS)
        assert (found.hits.total, len(found.notes)) == (hits, notes)


def test_the_pauses_are_bounded():
    assert server_health.FIRST_PAUSE < server_health.LONGEST_PAUSE <= 600
