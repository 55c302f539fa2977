"""The registry: what is known of every server, and what a search says of those that are not ready."""

from __future__ import annotations

import pytest

from mcp_gateway.catalog.listing import Listing
from mcp_gateway.catalog.registry import Registry
from mcp_gateway.catalog.server_health import State
from mcp_gateway.config.server_spec import SWITCHED_OFF, DisabledServer

from ..support.fake_servers import tool
from ..support.gateway import spec


@pytest.fixture
def registry():
    return Registry.of((spec("a"), spec("b")), (DisabledServer("c", "the environment variable C is not set"),))


def note(registry, server):
    return next((note for note in registry.notes() if note.startswith(f"{server}: ")), None)


def test_a_server_that_nobody_has_asked_says_how_to_ask_it(registry):
    assert note(registry, "a") == ("a: its tools have not been asked for; call discover_tools with server_name 'a'")


def test_a_server_that_somebody_has_switched_off_is_not_missed():
    registry = Registry.of((), (DisabledServer("off", SWITCHED_OFF, on_purpose=True), DisabledServer("bad", "no")))
    assert registry.switched_off == {"off"}
    registry.replace({}, (DisabledServer("off", SWITCHED_OFF), DisabledServer("bad", "no", on_purpose=True)))
    assert registry.switched_off == {"bad"}
    registry = Registry.of((), (DisabledServer("off", SWITCHED_OFF, on_purpose=True),))
    assert registry.notes() == []


def test_a_disabled_server_says_why(registry):
    assert note(registry, "c") == "c: not used: the environment variable C is not set"


@pytest.mark.parametrize(
    "state, reason, said",
    [
        (State.STARTING, "", "a: starting since {clock}; call tool_search again in a moment"),
        (State.NEEDS_LOGIN, "it wants a header", "a: needs login since {clock}: it wants a header"),
        (State.DEGRADED, "it lists nothing", "a: degraded since {clock}: it lists nothing"),
        (State.DOWN, "server 'a' is not available: no route", "a: down since {clock}: no route"),
    ],
)
def test_a_server_that_is_not_ready_says_why_and_since_when(registry, state, reason, said):
    registry.mark("a", state, reason)
    assert note(registry, "a") == said.format(clock=registry.states["a"].clock)


def test_a_server_that_is_ready_says_nothing(registry):
    registry.put(Listing("a", (tool("x"),)))
    assert note(registry, "a") is None


def test_a_server_that_went_down_keeps_its_tools_and_says_that_they_may_fail(registry):
    registry.put(Listing("a", (tool("x"),)))
    registry.mark("a", State.DOWN, "no route")
    clock = registry.states["a"].clock
    assert note(registry, "a") == f"a: down since {clock}, its tools fail until it is back: no route"
    assert registry.catalog.find("a__x")


def test_those_who_want_to_know_hear_of_new_tools_and_of_nothing_else(registry):
    received = []
    registry.events.catalog_changed.subscribe(received.append)
    registry.put(Listing("a", (tool("x"),), fetched=1.0))
    registry.put(Listing("a", (tool("x"),), fetched=2.0))
    registry.mark("a", State.DOWN, "no route")
    assert len(received) == 1
    registry.put(Listing("a", (tool("x", "new words"),), fetched=3.0))
    registry.put(Listing("a", (tool("x", "new words"),), description="new", fetched=3.0))
    assert len(received) == 3
    assert received[-1] is registry.catalog


def test_a_first_empty_list_is_news_too(registry):
    received = []
    registry.events.catalog_changed.subscribe(received.append)
    registry.put(Listing("a"))
    assert len(received) == 1
