"""The table of core/docs/eras.md has a test for each of its cells."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from .support.matrix import CELLS, PAIRS

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "core" / "docs" / "eras.md"


def rows() -> dict[str, list[str]]:
    """Return the table: what it says for each feature and each pair."""
    written = PAGE.read_text(encoding="utf-8").splitlines()
    lines = [line.strip("| ").split(" | ") for line in written if line.startswith("|")]
    heading, _, *body = lines
    assert heading[1:] == [f"`{pair}`" for pair in PAIRS], "the columns are the pairs of eras"
    assert len({line[0] for line in body}) == len(body), "each feature has one row"
    return {line[0]: line[1:] for line in body}


@pytest.fixture(scope="module")
def tested() -> dict[str, set[str]]:
    """Return for which cells there are tests, whichever of their files are run."""
    for path in HERE.glob("test_matrix_*.py"):
        import_module(f".{path.stem}", __package__)
    return CELLS


def test_every_cell_says_what_happens() -> None:
    assert all(len(cells) == len(PAIRS) and all(cell.strip() for cell in cells) for cells in rows().values())


def test_every_cell_has_a_test_and_every_test_a_cell(tested: dict[str, set[str]]) -> None:
    assert {feature: set(PAIRS) for feature in rows()} == dict(tested)
