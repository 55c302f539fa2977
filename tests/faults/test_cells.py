"""Each cell of the matrix: what the caller sees, what the others see, and that all is well again in time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from ..e2e.support.gateways import Workshop
from .scenarios.environment import play_around
from .scenarios.gateways import play_gateways
from .scenarios.redis import play_redis
from .scenarios.servers import Outcome, play_over_http, play_over_stdio
from .support.matrix import AROUND, CHILD, GATEWAYS, HTTP, REDIS, RIGHT, Row

Outcomes = dict[str, Outcome]
GROUPS: dict[str, tuple[tuple[Row, ...], Callable[[Workshop], Outcomes]]] = {
    "http": ((*CHILD, *HTTP), lambda workshop: play_over_http(workshop, CHILD, HTTP)),
    "stdio": ((*CHILD, *HTTP), lambda workshop: play_over_stdio(workshop, CHILD, HTTP)),
    "redis": (REDIS, lambda workshop: play_redis(workshop, REDIS)),
    "gateways": (GATEWAYS, lambda workshop: play_gateways(workshop, GATEWAYS)),
    "around": (AROUND, lambda workshop: play_around(workshop, AROUND)),
}
each_cell = pytest.mark.parametrize(
    "group, row",
    [pytest.param(group, row, id=f"{group}-{row.key}") for group, (rows, _) in GROUPS.items() for row in rows],
)


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Outcomes]:
    """Return what plays a group, once."""
    outcomes: dict[str, Any] = {}

    def play(group: str) -> Outcomes:
        if group not in outcomes:
            with ExitStack() as stack:
                outcomes[group] = GROUPS[group][1](Workshop(tmp_path_factory.mktemp(group), stack))
        return dict(outcomes[group])

    return play


@pytest.fixture
def outcome(played: Callable[[str], Outcomes], group: str, row: Row) -> Outcome:
    return played(group)[row.key]


@each_cell
def test_the_caller_sees_what_is_wrong(outcome: Outcome, row: Row) -> None:
    assert row.is_seen(outcome.caller), outcome.caller


@each_cell
def test_the_others_see_nothing_of_it(outcome: Outcome, row: Row) -> None:
    assert outcome.others
    assert [seen for seen in outcome.others if not seen.startswith(row.others)] == []


@each_cell
def test_all_is_well_again_in_time(outcome: Outcome) -> None:
    assert outcome.at_last == RIGHT
