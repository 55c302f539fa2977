"""Writes the matrix as a table into README.md: python -m tests.faults.table."""

from __future__ import annotations

from pathlib import Path

from .support.matrix import RIGHT, Row, all_rows

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- made by table.py -->\n", "<!-- end -->\n"


def describe(said: str) -> str:
    return said if said == RIGHT else f"`{said}…`".replace("|", "\\|")


def line(row: Row) -> str:
    cells = (row.fault, describe(row.caller), describe(row.others), f"{row.healthy} s")
    return f"| {' | '.join(cells)} |\n"


def table() -> str:
    head = "| fault | the caller sees | the others see | well again within |\n| --- | --- | --- | ---: |\n"
    return head + "".join(map(line, all_rows()))


def page(text: str) -> str:
    """Return a page with its table renewed."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    README.write_text(page(README.read_text(encoding="utf-8")), encoding="utf-8")
