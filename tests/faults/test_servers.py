"""Servers that fail: each row of the matrix, over both transports and on both lanes of the gateway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from rows import CHILD, HTTP, RIGHT, Row
from scenes import Outcome, entries, over_http, over_stdio, play_all
from support import Workshop

ROWS = (*CHILD, *HTTP)
each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key.replace(" ", "-"))


@pytest.fixture(scope="module", params=["http", "stdio, full lane"])
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Outcome]]:
    with ExitStack() as stack:
        workshop = Workshop(tmp_path_factory.mktemp("faults"), stack)
        servers = entries(workshop, CHILD, HTTP)
        if request.param == "http":
            stage = over_http(workshop, servers)
        else:
            stage = over_stdio(workshop, servers, GATEWAY_DIRECT="false")
        yield play_all(stage, ROWS)


@each_row
def test_the_caller_sees_what_is_wrong(outcomes: dict[str, Outcome], row: Row) -> None:
    assert row.seen in outcomes[row.key].caller


@each_row
def test_the_others_see_nothing_of_it(outcomes: dict[str, Outcome], row: Row) -> None:
    assert set(outcomes[row.key].others) == {row.others}


@each_row
def test_all_is_well_again_in_time(outcomes: dict[str, Outcome], row: Row) -> None:
    assert outcomes[row.key].at_last == RIGHT
