"""Pages with a table of what was tried, which the command writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "core" / "docs"
Row = Sequence[str]


@dataclass(frozen=True)
class Page:
    """A page of the docs: a text, and a table with a row for each key.

    A key has the first cells of its row. `keys` are in the order of the rows.
    """

    path: Path
    text: str
    columns: Sequence[str]
    keys: Sequence[tuple[str, ...]]

    def read_rows(self) -> dict[tuple[str, ...], list[str]]:
        """Return the rows that stand there, by key."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        rows = [line[2:-2].split(" | ") for line in lines if line.startswith("| ")][2:]
        return {tuple(row[: len(self.keys[0])]): row for row in rows}

    def render(self, rows: Iterable[Row]) -> str:
        """Return the page with these rows."""
        lines = ["| " + " | ".join(row) + " |" for row in (self.columns, ["---"] * len(self.columns), *rows)]
        return self.text + "\n".join(lines) + "\n"

    def write(self, rows: Iterable[Row]) -> None:
        """Replace these rows; those of keys that there are no more go."""
        new = {tuple(row[: len(self.keys[0])]): row for row in rows}
        found = {**self.read_rows(), **new}
        self.path.write_text(self.render(found[key] for key in self.keys if key in found), encoding="utf-8")
