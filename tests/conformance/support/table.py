"""The table at the end: how many checks passed, of how many that were made."""

from __future__ import annotations

from dataclasses import dataclass, field

from .suite import Results, count


@dataclass
class Table:
    """Takes down what came of each run of the suite."""

    lines: list[str] = field(default_factory=list)

    def add(self, what: str, results: Results) -> None:
        counted = count(results)
        made = sum(counted[status] for status in ("SUCCESS", "FAILURE", "WARNING"))
        self.lines.append(f"{counted['SUCCESS']:4} of {made:4}  {what}")
