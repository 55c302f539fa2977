"""What of the suite's checks comes out otherwise through the gateway than without it, and what is known of that."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .suite import NOT_MADE, Name, Outcome, Results


@dataclass(frozen=True)
class Leg:
    """Who speaks through the gateway to whom: revisions, and how the server is reached."""

    client: str
    server: str
    transport: str

    def __str__(self) -> str:
        return f"client {self.client}, server {self.server} over {self.transport}"


@dataclass(frozen=True)
class Known:
    """A difference that is as it should be. What it does not name, it fits; if `is_rare`, it need not show."""

    scenario: str
    checks: frozenset[str]
    why: str
    where: tuple[tuple[str, str], ...]
    is_rare: bool = False

    def fits(self, leg: Leg) -> bool:
        return all(getattr(leg, key) == value for key, value in self.where)


def worse(reference: Results, gateway: Results) -> dict[Name, Outcome]:
    """Return the checks that only the reference passes, and those of which the suite complains only at the gateway."""
    lost = {name for name, outcome in reference.items() if outcome.passed and not _at(gateway, name).passed}
    new = {name for name, outcome in gateway.items() if outcome.complained and not _at(reference, name).complained}
    return {name: _at(gateway, name) for name in sorted(lost | new)}


def unexplained(leg: Leg, found: dict[Name, Outcome]) -> list[str]:
    """Return a line for every difference that is not known, and for everything known that did not show."""
    known = [each for each in read_known() if each.fits(leg)]
    explained = {(each.scenario, check) for each in known for check in each.checks}
    rare = {(each.scenario, check) for each in known if each.is_rare for check in each.checks}
    met = {(name.scenario, name.check) for name in found}
    return [
        *(
            f"{name.scenario}: {name.check} ({name.title}) is {outcome.status}: {outcome.message}"
            for name, outcome in found.items()
            if (name.scenario, name.check) not in explained
        ),
        *(
            f"{scenario}: {check} is in differences.toml, but made no difference"
            for scenario, check in sorted(explained - rare - met)
        ),
    ]


@cache
def read_known() -> tuple[Known, ...]:
    """Read differences.toml."""
    entries = tomllib.loads((Path(__file__).parent / "differences.toml").read_text(encoding="utf-8"))
    return tuple(map(_known, entries.get("difference", ())))


def _known(entry: dict[str, Any]) -> Known:
    scenario, checks, why = entry.pop("scenario"), frozenset(entry.pop("checks")), entry.pop("why")
    is_rare = entry.pop("sometimes", False)
    assert entry.keys() <= {"client", "server", "transport"}, entry
    return Known(scenario, checks, why, tuple(entry.items()), is_rare)


def _at(results: Results, name: Name) -> Outcome:
    return results.get(name, NOT_MADE)
