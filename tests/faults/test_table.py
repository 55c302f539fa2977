"""The matrix in README.md is the one that is tested."""

from __future__ import annotations

from .support.matrix import all_rows
from .table import README, page


def test_the_table_is_current() -> None:
    text = README.read_text(encoding="utf-8")
    assert page(text) == text, "run: python -m tests.faults.table"


def test_no_two_rows_are_called_alike() -> None:
    assert len({row.key for row in all_rows()}) == len(all_rows())
