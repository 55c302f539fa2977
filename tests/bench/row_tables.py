"""Writes the tables of `ordinary`: this gateway beside itself as it was, the direct call and the fastest others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .bench import records
from .peers import PAIRS
from .report import TITLES, Samples, failures, percent, shown, table, times
from .rows import ROWS

Json = dict[str, Any]
Row = list[str]
OURS = ("gateway", "gateway-modern")
OTHERS = ("envoy", "mcp-compressor", "slop-mcp")
MANY = 32
ABOUT = """## Ordinary clients and plain ones

CPU of the gateway for a call in milliseconds, at 1, 32 and 256 callers, and beside it at 32 callers: the plain row,
another installation of the same gateway (`baseline`), and other gateways with the same client and server. *Of direct*
is the throughput at 32 callers in per cent of the direct call's. Rows that were not measured at 32 callers say at how
many they were.

"""
HEAD: tuple[str, ...] = ("", "CPU ms, 1", f"{MANY}", "256", "to plain", "baseline", "to baseline", *OTHERS)
HEAD += ("of direct", "p99 ms, 256", "baseline", "reports a call", "wrong")
NOTHING = Samples([], "gateway")


class Group:
    """All samples of a pair of transports and a pair of eras."""

    def __init__(self, rows: Iterable[Json]) -> None:
        found: dict[tuple[str, str, int], list[Json]] = {}
        for row in rows:
            peer = "gateway" if row["peer"] in OURS else row["peer"]
            found.setdefault((row["row"], peer, row["callers"]), []).append(row)
        self._samples = {key: Samples(each, "gateway") for key, each in found.items()}

    def has(self, row: str) -> bool:
        return any(key[:2] == (row, "gateway") for key in self._samples)

    def samples(self, row: str, peer: str, callers: int) -> Samples:
        return self._samples.get((row, peer, callers), NOTHING)

    def cpu(self, row: str, peer: str, callers: int) -> float | None:
        return self.samples(row, peer, callers).median("cpu_ms_per_call")

    def choose_callers(self, row: str) -> int:
        """Return the number of callers at which a row is compared."""
        counts = {callers for name, peer, callers in self._samples if (name, peer) == (row, "gateway")}
        return MANY if MANY in counts else max(counts)

    def faults(self, row: str) -> str:
        """Return how many answers were wrong or reports lost, of how many calls."""
        said = {each.faults() for (name, peer, _), each in self._samples.items() if (name, peer) == (row, "gateway")}
        return ", ".join(sorted(said - {"0"})) or "0"


def to_cost(samples: Samples) -> str:
    """Return what a call costs another gateway; how many answers are wrong if none is right."""
    faults = samples.faults()
    return shown(samples.median("cpu_ms_per_call"), 3) if samples.good or faults == "0" else f"wrong: {faults}"


def to_cells(group: Group, row: str) -> Row:
    many = group.choose_callers(row)
    cpu, before = group.cpu(row, "gateway", many), group.cpu(row, "baseline", many)
    here, all_ = group.samples(row, "gateway", many), group.samples(row, "gateway", 256)
    shown_many = shown(cpu, 3) + (f" (x{many})" if many != MANY else "")
    reports, calls = (sum(sample.get(key, 0) for sample in here.good) for key in ("reports", "calls"))
    return [
        f"`{row}`",
        shown(group.cpu(row, "gateway", 1), 3),
        shown_many,
        shown(group.cpu(row, "gateway", 256), 3),
        times(cpu, group.cpu("plain", "gateway", many), 2),
        shown(before, 3),
        times(cpu, before, 2),
        *(to_cost(group.samples(row, other, many)) for other in OTHERS),
        percent(here.median("per_second"), group.samples(row, "direct", many).median("per_second")),
        shown(all_.median("p99_ms"), 1),
        shown(group.samples(row, "baseline", 256).median("p99_ms"), 1),
        shown(reports / calls if calls else None, 1),
        group.faults(row),
    ]


def ordinary() -> str:
    """Write a table for each pair of transports and of eras, and say what the rows are."""
    kept = [row for row in records("ordinary") if "callers" in row]
    parts = [ABOUT, *(f"* `{row.name}`: {row.about}\n" for row in ROWS.values())]
    for pair in PAIRS:
        for eras in dict.fromkeys(row["eras"] for row in kept):
            group = Group(row for row in kept if (row["pair"], row["eras"]) == (pair, eras))
            lines = [to_cells(group, name) for name in ROWS if group.has(name)]
            if lines:
                parts += [f"\n### {TITLES[pair]}, {say_eras(eras)}\n\n", table(HEAD, lines)]
    return "".join([*parts, "\n", failures("ordinary")])


def say_eras(eras: str) -> str:
    client, _, server = eras.partition("-")
    return f"a client of the {client} era before a server of {'the ' + server if server else 'the same'}"
