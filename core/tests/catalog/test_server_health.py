"""States: what is seen of a server follows from what came of asking it, and from its troubles."""

from __future__ import annotations

import time

import anyio
import pytest
from structlog.testing import capture_logs

from mcp_gateway.catalog.server_health import HealthRegistry, ServerState, State, format_time


@pytest.fixture
def states():
    known = HealthRegistry()
    known.mark("a", State.READY)
    return known


def test_a_state_that_does_not_change_keeps_its_time_whatever_the_reason(states):
    states.mark("a", State.DOWN, "no route")
    before = states["a"]
    states.mark("a", State.DOWN, "no route")
    assert states["a"] is before
    states.mark("a", State.DOWN, "another reason")
    assert (states["a"].since, states["a"].reason) == (before.since, "another reason")


def test_every_change_is_logged_once():
    with capture_logs() as logged:
        states = HealthRegistry()
        states.mark("a", State.STARTING)
        for _ in range(3):
            states.mark("a", State.DOWN, "no route")
        states.mark("a", State.READY)
    assert [(line["log_level"], line["server"], line["state"], line.get("reason")) for line in logged] == [
        ("info", "a", "starting", None),
        ("warning", "a", "down", "no route"),
        ("info", "a", "ready", None),
    ]


def test_a_server_that_did_not_answer_is_degraded_and_one_that_is_cut_off_is_down(states):
    states.mark_failed("a", "it hangs", cut_off=False)
    assert (states["a"].name, states["a"].reason) == (State.DEGRADED, "it hangs")
    states.mark_failed("a", "it hangs still", cut_off=True)
    assert (states["a"].name, states["a"].reason) == (State.DOWN, "it hangs still")
    states.mark_recovered("a")
    assert states["a"].name is State.READY


def test_a_trouble_does_not_hide_what_is_worse(states):
    states.mark("a", State.NEEDS_LOGIN, "log in")
    states.mark_failed("a", "it hangs", cut_off=False)
    assert states["a"].name is State.NEEDS_LOGIN
    states.mark_failed("a", "it hangs", cut_off=True)
    assert states["a"].name is State.DOWN
    states.mark_recovered("a")
    assert states["a"].name is State.NEEDS_LOGIN


class Start:
    """A start that is under way until it is settled."""

    def __init__(self, seconds=0.0):
        self.last_line, self.since, self.settled = "Downloading 40%", time.time() - seconds, anyio.Event()


def test_a_start_shows_the_last_line_of_the_server_until_it_is_over(states):
    start = Start()
    states.mark("b", State.STARTING)
    states.watch_start("b", start)
    assert (states["b"].name, states["b"].reason, states["b"].since) == (State.STARTING, "Downloading 40%", start.since)
    start.last_line = "Downloading 80%"
    assert dict(states.items())["b"].reason == "Downloading 80%"
    start.settled.set()
    assert states["b"].reason == ""


def test_a_start_of_a_server_whose_tools_are_known_is_shown_only_if_it_lasts(states):
    states.watch_start("a", first := Start())
    assert states["a"].name is State.READY
    states.watch_start("a", Start(seconds=60))
    assert states["a"].name is State.READY, "the first is still under way"
    first.settled.set()
    states.watch_start("a", Start(seconds=60))
    assert (states["a"].name, states["a"].reason) == (State.STARTING, "Downloading 40%")


@pytest.mark.parametrize("wrong", [State.DOWN, State.DEGRADED, State.NEEDS_LOGIN, State.DISABLED])
def test_what_is_wrong_with_a_server_is_not_hidden_by_another_start(states, wrong):
    states.mark("a", wrong, "why")
    states.watch_start("a", Start(seconds=60))
    assert (states["a"].name, states["a"].reason) == (wrong, "why")


def test_a_disabled_server_has_no_troubles(states):
    states.mark("a", State.DISABLED, "by hand")
    states.mark_failed("a", "it hangs", cut_off=True)
    assert states["a"].name is State.DISABLED


def test_a_server_that_is_forgotten_is_gone_whatever_is_said_of_it_later(states):
    states.forget("a")
    states.mark_failed("a", "it hangs", cut_off=True)
    assert "a" not in states
    assert list(states.items()) == []


def test_a_reason_is_one_short_line_that_does_not_name_the_server_again():
    said = ServerState(State.DOWN, "server 'a': it wrote\n  many lines " + "x" * 1000).brief("a")
    assert said.startswith("it wrote many lines x")
    assert len(said) == 240


def test_a_time_of_another_day_has_its_date():
    assert format_time(0) == "1970-01-01 00:00:00 UTC"
    assert len(format_time(time.time())) == len("00:00:00 UTC")
