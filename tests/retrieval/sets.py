"""The sets: tools, and queries of which it is known which tools they want."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Case:
    """A query and the tools that it wants: `every` one of them, or any."""

    query: str
    relevant: frozenset[str]
    every: bool


@dataclass(frozen=True)
class Set:
    """A set by its name; `folder` is where its tools are, if several sets share them.

    Queries of `fewest` characters or less are left out.
    """

    name: str
    folder: str = ""
    fewest: int = -1

    @cached_property
    def tools(self) -> list[dict[str, Any]]:
        """The tools, each once, as their servers define them, and `id`, their names here."""
        found = (json.loads(line) for line in _lines(self.folder or self.name, "tools.jsonl"))
        named = ({**item, "id": f"{item['server']}__{item['name']}"} for item in found)
        return list({tool["id"]: tool for tool in named}.values())

    @cached_property
    def cases(self) -> list[Case]:
        """The queries."""
        rows = (json.loads(line) for line in _lines(self.name, "queries.jsonl"))
        rows = (row for row in rows if len(row["query"]) > self.fewest)
        return [Case(row["query"], frozenset(row["relevant"]), row["match"] == "all") for row in rows]

    def longer_than(self, length: int) -> Set:
        """Return the set with its longer queries only."""
        return replace(self, fewest=length)


SETS = (
    Set("livemcp_agentj", "livemcp"),
    Set("livemcp_step", "livemcp"),
    Set("livemcp_task", "livemcp"),
    Set("metatool"),
    Set("bfcl_live"),
    Set("stabletoolbench"),
    Set("sealtools"),
)

MORE = Set("docker_catalogue")
"""Tools without queries: they make the catalogue of all sets larger."""


def everything() -> list[dict[str, Any]]:
    """Return the tools of all sets: about ten thousand."""
    return list({tool["id"]: tool for item in (*SETS, MORE) for tool in item.tools}.values())


def _lines(folder: str, name: str) -> list[str]:
    return (DATA / folder / name).read_text(encoding="utf-8").splitlines()
