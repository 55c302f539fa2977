"""Each cell of the matrix: what the caller sees, what the others see, and that all is well again in time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from ..e2e.support.gateways import Launcher
from .scenarios.environment import run_environment_faults
from .scenarios.gateways import run_gateways
from .scenarios.redis import run_redis
from .scenarios.servers import Outcome, run_over_http, run_over_stdio
from .support.matrix import AROUND, CHILD, GATEWAYS, HTTP, REDIS, RIGHT, Row

Outcomes = dict[str, Outcome]
GROUPS: dict[str, tuple[tuple[Row, ...], Callable[[Launcher], Outcomes]]] = {
    "http": ((*CHILD, *HTTP), lambda launcher: run_over_http(launcher, CHILD, HTTP)),
    "stdio": ((*CHILD, *HTTP), lambda launcher: run_over_stdio(launcher, CHILD, HTTP)),
    "redis": (REDIS, lambda launcher: run_redis(launcher, REDIS)),
    "gateways": (GATEWAYS, lambda launcher: run_gateways(launcher, GATEWAYS)),
    "around": (AROUND, lambda launcher: run_environment_faults(launcher, AROUND)),
}
each_cell = pytest.mark.parametrize(
    "group, row",
    [pytest.param(group, row, id=f"{group}-{row.key}") for group, (rows, _) in GROUPS.items() for row in rows],
)


@pytest.fixture(scope="session")
def run_group(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Outcomes]:
    """Return what runs a group, once."""
    outcomes: dict[str, Any] = {}

    def run(group: str) -> Outcomes:
        if group not in outcomes:
            with ExitStack() as stack:
                outcomes[group] = GROUPS[group][1](Launcher(tmp_path_factory.mktemp(group), stack))
        return dict(outcomes[group])

    return run


@pytest.fixture
def outcome(run_group: Callable[[str], Outcomes], group: str, row: Row) -> Outcome:
    return run_group(group)[row.key]


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
