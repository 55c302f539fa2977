"""Whatever comes, what parses it keeps its promises: see targets.py for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from .seeds import SEEDS
from .targets import CONNECTIONS, TARGETS, Target, quiet

same_each_time = settings(
    max_examples=200,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
longer = settings(same_each_time, max_examples=600)
edits = some.lists(some.tuples(some.integers(0, 300), some.integers(0, 20), some.binary(max_size=8)), max_size=4)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    quiet()
    yield
    structlog.reset_defaults()


def edited(seed: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """Replace parts of a seed."""
    for at, length, piece in changes:
        where = at % (len(seed) + 1)
        seed = seed[:where] + piece + seed[where + length :]
    return seed


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_usual_holds(name: str) -> None:
    for seed in SEEDS[name]:
        TARGETS[name](seed)


@pytest.mark.parametrize("name", [name for name, target in TARGETS.items() if target not in CONNECTIONS])
@same_each_time
@given(data=some.data())
def test_what_is_nearly_usual_holds(name: str, data: some.DataObject) -> None:
    TARGETS[name](edited(data.draw(some.sampled_from(SEEDS[name])), data.draw(edits)))


@pytest.mark.parametrize("name", TARGETS)
@same_each_time
@given(data=some.one_of(some.binary(max_size=300), some.text(max_size=200).map(str.encode)))
def test_nonsense_holds(name: str, data: bytes) -> None:
    TARGETS[name](data)


@pytest.mark.parametrize("target", CONNECTIONS)
@longer
@given(data=some.data())
def test_what_is_nearly_usual_holds_on_a_connection(target: Target, data: some.DataObject) -> None:
    target(edited(data.draw(some.sampled_from(SEEDS[target.__name__])), data.draw(edits)))
