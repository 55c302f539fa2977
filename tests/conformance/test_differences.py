"""The comparison itself: nothing gets lost in it, and no excuse outlives its reason."""

from __future__ import annotations

from typing import Any

import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from ..e2e.support.gateways import Launcher
from .support.differences import Leg, read_known, unexplained, worse
from .support.reference_servers import ERAS, start_reference_server
from .support.suite import HANDSHAKE, MODERN, Name, Outcome

GOOD, BAD, DOUBTFUL, INFO = (Outcome(status) for status in ("SUCCESS", "FAILURE", "WARNING", "INFO"))
LEG = Leg(HANDSHAKE, HANDSHAKE, "http")


def named(check: str, scenario: str = "one") -> Name:
    return Name(scenario, check, check.title(), 1)


@pytest.mark.parametrize("outcome", [BAD, DOUBTFUL, INFO, None])
def test_a_check_that_only_the_reference_passes_is_a_difference(outcome: Outcome | None) -> None:
    at_the_gateway = {} if outcome is None else {named("a"): outcome}
    assert list(worse({named("a"): GOOD}, at_the_gateway)) == [named("a")]


@pytest.mark.parametrize("outcome", [BAD, DOUBTFUL])
def test_a_complaint_that_the_reference_did_not_hear_is_a_difference(outcome: Outcome) -> None:
    for reference in ({}, {named("a"): INFO}):
        assert worse(reference, {named("a"): outcome}) == {named("a"): outcome}


def test_what_is_the_same_or_better_is_no_difference() -> None:
    both = {named("a"): GOOD, named("b"): DOUBTFUL, named("c"): INFO}
    assert worse(both, both) == {}
    assert worse({named("a"): INFO, named("b"): BAD}, {named("a"): GOOD, named("b"): GOOD}) == {}


def test_a_difference_that_is_not_known_is_reported() -> None:
    told = unexplained(LEG, {named("new"): BAD, **known_ones()})
    assert told == ["one: new (New) is FAILURE: "]


def test_a_known_difference_that_does_not_show_is_reported() -> None:
    assert unexplained(LEG, known_ones()) == []
    told = unexplained(LEG, {})
    assert len(told) == len(known_ones(is_rare=False)) < len(known_ones())
    assert "made no difference" in told[0]


def known_ones(*, is_rare: bool = True) -> dict[Name, Outcome]:
    """Return what is known of a leg, with what need not show or without."""
    fitting = [known for known in read_known() if known.fits(LEG) and (is_rare or not known.is_rare)]
    return {named(check, known.scenario): DOUBTFUL for known in fitting for check in known.checks}


@pytest.mark.anyio
@pytest.mark.parametrize("revision, mode, other", [(HANDSHAKE, "legacy", MODERN), (MODERN, MODERN, "legacy")])
async def test_a_reference_of_one_era_does_not_know_the_other(
    launcher: Launcher, revision: str, mode: Any, other: Any
) -> None:
    url = start_reference_server(launcher, "--era", ERAS[revision])
    async with Client(url, mode=mode) as client:
        assert (await client.call_tool("test_simple_text", {})).content
    with pytest.RaisesGroup(MCPError, allow_unwrapped=True, flatten_subgroups=True):
        async with Client(url, mode=other) as stranger:
            await stranger.call_tool("test_simple_text", {})


def test_every_known_difference_has_a_reason() -> None:
    assert read_known()
    assert all(known.why and known.checks for known in read_known())
