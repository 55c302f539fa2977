"""A breaker: it opens after failures in a row, says since when and why, and one answer closes it."""

from __future__ import annotations

import pytest

from mcp_gateway.catalog.server_health import HealthRegistry, State
from mcp_gateway.plugin import ServerUnavailable
from mcp_gateway.runtime.events import GatewayEvents
from mcp_gateway.sessions import circuit_breaker as module
from mcp_gateway.sessions.circuit_breaker import Breakers, CircuitBreaker, CircuitOpen

from ..support.gateway import spec

REFUSED = ServerUnavailable("server 'alpha' is not available: no route")


@pytest.fixture
def states():
    known = HealthRegistry()
    known.mark("alpha", State.READY)
    return known


@pytest.fixture
def breaker(states):
    return CircuitBreaker(spec(), states)


async def test_a_server_is_cut_off_after_failures_in_a_row(breaker, states):
    for _ in range(module.MAX_FAILURES - 1):
        breaker.record_failure(REFUSED)
        breaker.check()
    assert states["alpha"].name is State.DEGRADED
    breaker.record_failure(REFUSED)
    with pytest.raises(CircuitOpen):
        breaker.check()
    assert states["alpha"].name is State.DOWN


async def test_an_answer_in_between_begins_the_count_anew(breaker, states):
    for _ in range(5):
        breaker.record_failure(REFUSED)
        breaker.record_failure(REFUSED)
        breaker.record_answer()
    breaker.check()
    assert states["alpha"].name is State.READY


async def test_what_cannot_get_better_by_itself_cuts_a_server_off_at_once(breaker):
    breaker.record_failure(ServerUnavailable("no such command", permanent=True))
    assert breaker.is_open


async def test_a_refusal_says_since_when_and_why_and_when_it_is_tried_again(breaker, states):
    for _ in range(module.MAX_FAILURES):
        breaker.record_failure(REFUSED)
    with pytest.raises(CircuitOpen) as caught:
        breaker.check()
    clock = states["alpha"].clock
    assert str(caught.value) == (
        f"server 'alpha' is down since {clock}: no route; it is tried again by itself right now; "
        "discover_tools tries it at once"
    )
    assert caught.value.code == "server_unavailable"


async def test_a_trial_is_let_through_but_not_at_once_after_the_last_failure(breaker, monkeypatch):
    for _ in range(module.MAX_FAILURES):
        breaker.record_failure(REFUSED)
    with pytest.raises(CircuitOpen):
        breaker.check(trial=True)
    monkeypatch.setattr(module, "SPACING_SECONDS", 0.0)
    breaker.check(trial=True)


async def test_a_slow_tool_that_is_called_often_does_not_cut_its_server_off(breaker):
    for _ in range(10):
        breaker.record_no_answer(REFUSED)
    assert (breaker.failures, breaker.is_open) == (1, False)


async def test_the_first_failure_is_an_event_and_the_opening_too():
    received, events = [], GatewayEvents()
    events.server_failed.subscribe(lambda failed: received.append(("failed", failed)))
    events.server_down.subscribe(lambda failed: received.append(("down", failed)))
    breakers = Breakers(events=events)
    one = spec()
    breaker = breakers.breaker_of(one)
    for _ in range(5):
        breaker.record_failure(REFUSED)
    assert received == [("failed", breaker), ("down", breaker)]


async def test_a_server_that_is_configured_anew_begins_with_a_clean_sheet(states):
    before, after = spec(), spec()
    current = [before]
    breakers = Breakers(states, is_current=lambda failed: failed in current)
    old = breakers.breaker_of(before)
    old.record_failure(ServerUnavailable("no such command", permanent=True))
    current[:] = [after]
    breakers.retire(before)
    states.mark_recovered("alpha")
    new = breakers.breaker_of(after)
    new.check()
    for late in (old, breakers.breaker_of(before)):
        late.record_failure(REFUSED)
        assert states["alpha"].name is State.READY
    assert breakers.breaker_of(after) is new
