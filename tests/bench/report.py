"""Writes the tables: results.md out of the records of all scenarios."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .bench import median, records
from .peers import PAIRS, PEERS

Json = dict[str, Any]
Row = Sequence[str]
TITLES = {"http-http": "HTTP → HTTP", "http-stdio": "HTTP → stdio", "stdio-stdio": "stdio → stdio"}
TITLES["stdio-http"] = "stdio → HTTP"
INTRODUCTION = """# How fast

Made by `tox -e bench`; [README.md](README.md) says how it is measured. Compare the ratios: each sample stands beside
one of the direct call and one of a minimal proxy (`raw`), taken in the same seconds. All are medians over the rounds.
*CPU* is what the gateway's processes used, in milliseconds for a call (which is seconds for 1,000 calls): the firmest
figure on a machine that does other things, too. *Added* is the median latency beyond that of the direct call.
"""


def shown(value: float | None, digits: int = 2) -> str:
    """Write a number with no more digits than it means."""
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{digits}f}" if abs(value) < 100 else f"{value:.0f}"


def times(value: float | None, other: float | None, digits: int = 1) -> str:
    return f"{shown(value / other, digits)}x" if value is not None and other else "-"


def percent(value: float | None, whole: float | None) -> str:
    return f"{shown(100 * value / whole, 1)} %" if value is not None and whole else "-"


def table(head: Row, rows: Iterable[Row]) -> str:
    body = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in body) + "\n"


class Samples:
    """All samples of one peer at one number of callers; `who` is the gateway or a yardstick beside it."""

    def __init__(self, rows: list[Json], who: str) -> None:
        self._rows, self._who = rows, who
        self.good = [row[who] for row in rows if row.get(who, {}).get("good")]

    def median(self, key: str) -> float | None:
        return median([sample.get(key) for sample in self.good]) or None

    def added(self) -> float | None:
        """Return the median over the rounds of what was added to the direct call of the same round."""
        both = [row for row in self._rows if row.get(self._who, {}).get("good") and row["direct"].get("good")]
        return median([row[self._who]["p50_ms"] - row["direct"]["p50_ms"] for row in both])

    def peak(self) -> float | None:
        return max((sample["memory"]["peak"] for sample in self.good if "memory" in sample), default=None)

    def faults(self) -> str:
        """Return how many answers were wrong or missing, of how many."""
        failed = [row[self._who]["failed"] for row in self._rows if "failed" in row.get(self._who, {})]
        wrong = sum(sample["faults"] for sample in (row[self._who] for row in self._rows) if "faults" in sample)
        calls = sum(sample.get("calls", 0) for sample in (row[self._who] for row in self._rows))
        return "fails" if failed and not calls else f"{wrong} of {calls:,}" if wrong else "0"


def of_pair(scenario: str, pair: str) -> dict[str, dict[int, list[Json]]]:
    """Return the rows of a pair by peer and callers, the yardsticks among them."""
    found: dict[str, dict[int, list[Json]]] = {}
    for row in records(scenario):
        if row["pair"] == pair and "callers" in row:
            found.setdefault(row["peer"], {}).setdefault(row["callers"], []).append(row)
    return found


def measured(rows: dict[str, dict[int, list[Json]]]) -> dict[str, dict[int, Samples]]:
    """Return the samples of each peer, and those of `direct` and `raw` from beside all of them."""
    samples = {name: {n: Samples(each, "gateway") for n, each in by.items()} for name, by in rows.items()}
    for who in ("direct", "raw"):
        beside: dict[int, list[Json]] = {}
        for by in rows.values():
            for n, each in by.items():
                beside.setdefault(n, []).extend(each)
        samples[who] = {n: Samples(each, who) for n, each in beside.items()}
    return samples


def by_cost(samples: dict[str, dict[int, Samples]], callers: int) -> list[str]:
    def cost(name: str) -> float:
        return samples[name][callers].median("cpu_ms_per_call") or 0 if callers in samples[name] else 1e9

    return sorted(samples, key=lambda name: (name != "direct", cost(name)))


def bold(name: str) -> str:
    return f"**{name}**" if name.startswith("gateway") else name


COLUMNS = (
    *(
        "",
        "added ms, 1",
        "to raw",
        "CPU ms, 1",
        "to raw",
        "calls/s, 32",
        "of direct",
        "CPU ms, 32",
        "to raw",
        "to asgi",
    ),
    *("p50 / p95 / p99 ms, 32", "calls/s, 256", "wrong", "peak MiB"),
)


def calls() -> str:
    parts = ["## Calls with results of 1 KiB\n", "At 1, 32 and 256 callers.\n"]
    for pair in PAIRS:
        rows = of_pair("calls", pair)
        if not rows:
            continue
        samples = measured(rows)
        lines = [calls_row(name, samples) for name in by_cost(samples, 32)]
        parts += [f"### {TITLES[pair]}\n", table(COLUMNS, lines)]
    return "\n".join([*parts, failures("calls")])


def calls_row(name: str, samples: dict[str, dict[int, Samples]]) -> Row:
    nothing = Samples([], "gateway")

    def at(peer: str, callers: int) -> Samples:
        return samples.get(peer, {}).get(callers, nothing)

    one, many, all_ = at(name, 1), at(name, 32), at(name, 256)
    cpu, cpu_1 = many.median("cpu_ms_per_call"), one.median("cpu_ms_per_call")
    added, rate, direct = one.added(), many.median("per_second"), at("direct", 32).median("per_second")
    is_direct = name == "direct"
    return [
        bold(name),
        "-" if is_direct else shown(added, 3),
        "-" if is_direct else times(added, at("raw", 1).added()),
        shown(cpu_1, 3),
        times(cpu_1, at("raw", 1).median("cpu_ms_per_call")),
        shown(rate, 0),
        percent(rate, direct),
        shown(cpu, 3),
        times(cpu, at("raw", 32).median("cpu_ms_per_call")),
        times(cpu, at("asgi", 32).median("cpu_ms_per_call")),
        " / ".join(shown(many.median(key)) for key in ("p50_ms", "p95_ms", "p99_ms")),
        shown(all_.median("per_second"), 0),
        ", ".join(sorted({each.faults() for each in (one, many, all_)} - {"0"})) or "0",
        shown(max((each.peak() or 0 for each in (one, many, all_)), default=None) or None, 0),
    ]


def large() -> str:
    head = ["", "p50 ms, 1", "CPU ms, 1", "to raw", "calls/s, 4", "of direct", "CPU ms, 4", "wrong", "peak MiB"]
    parts = ["## Calls with results of 1 MiB\n", "At 1 and 4 callers.\n"]
    for pair in PAIRS:
        rows = of_pair("large", pair)
        if not rows:
            continue
        samples, lines = measured(rows), []
        direct = samples["direct"][4].median("per_second")
        raw = samples["raw"][1].median("cpu_ms_per_call")
        for name in by_cost(samples, 4):
            one, four = samples[name][1], samples[name][4]
            rate, cpu = four.median("per_second"), one.median("cpu_ms_per_call")
            share = percent(rate, direct)
            wrong = ", ".join(sorted({one.faults(), four.faults()} - {"0"})) or "0"
            cost = [shown(one.median("p50_ms")), shown(cpu), times(cpu, raw), shown(rate, 0), share]
            lines.append([bold(name), *cost, shown(four.median("cpu_ms_per_call")), wrong, shown(four.peak(), 0)])
        parts += [f"### {TITLES[pair]}\n", table(head, lines)]
    return "\n".join([*parts, failures("large")])


def grid(scenario: str, key: str, columns: Sequence[tuple[str, Callable[[list[Json]], str]]]) -> str:
    """Return a table with a row for each peer and pair, and for each value of a key the same columns."""
    rows = [row for row in records(scenario) if "failed" not in row]
    values = sorted({row[key] for row in rows})
    head = ["", "", *(f"{title}, {value:,}" for title, _ in columns for value in values)]
    lines = []
    for name in PEERS:
        for pair in PAIRS:
            mine = [row for row in rows if (row["peer"], row["pair"]) == (name, pair)]
            by = {value: [row for row in mine if row[key] == value] for value in values}
            if mine:
                cells = [write(by[value]) if by[value] else "-" for _, write in columns for value in values]
                lines.append([bold(name), TITLES[pair], *cells])
    return table(head, lines) + "\n" + failures(scenario)


def failures(scenario: str) -> str:
    """Name what could not be installed or measured."""
    said: dict[str, list[str]] = {}
    for row in records(scenario):
        why = row.get("failed") or (f"does not recover after 256 callers: {row['after']}" if "after" in row else "")
        if why:
            said.setdefault(f"`{row['peer']}`: {' '.join(why.split())[:200]}", []).append(
                TITLES.get(row["pair"], row["pair"])
            )
    return "".join(f"* {why} ({', '.join(dict.fromkeys(pairs))})\n" for why, pairs in said.items())
