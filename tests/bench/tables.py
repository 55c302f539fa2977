"""Puts the page together: results.md, its heading and its smaller tables, and results.svg beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .bench import median, records
from .chart import bars
from .peers import PEERS
from .report import INTRODUCTION, Samples, calls, failures, grid, large, measured, of_pair, shown, table
from .row_tables import ordinary

Json = dict[str, Any]
HERE = Path(__file__).parent
MEASUREMENTS = HERE.parent.parent / "core" / "docs" / "measurements.md"
MARK = "<!-- made by tox -e bench -->"
"""Stands before and after the short table in the page of measurements."""
SCENARIOS = ("calls", "ordinary", "large", "tools", "cold", "idle", "memory", "soak", "replicas", "profile")


def heading() -> str:
    """Say where the numbers come from: machine, date, versions."""
    rows = [row for scenario in SCENARIOS for row in records(scenario)]
    if not rows:
        return "Nothing was measured yet.\n"
    machine = max(rows, key=lambda row: row["at"])["machine"]
    days = sorted({row["at"][:10] for row in rows})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    where = f"{machine['cores']} cores of {machine['processor']}, {machine['memory']}, {machine['system']}"
    versions = {name: PEERS[name].described() for name in ("direct", "raw")}
    versions |= {row["peer"]: row["about"] for row in rows}
    named = [[f"`{name}`", versions[name], PEERS[name].language] for name in PEERS if name in versions]
    return f"{when}; {where}; Python {machine['python']}.\n\n" + table(["", "what it is", "in"], named)


def tools() -> str:
    """Many tools: memory, lists, search, and a call at one caller."""

    def of(key: str, digits: int = 1) -> Any:
        return lambda rows: shown(rows[0].get(key), digits)

    columns = [
        ("MiB", lambda rows: shown((rows[0]["memory"] or {}).get("rss"), 0)),
        ("search ms", of("search_ms")),
        ("list ms", of("list_ms")),
        ("CPU ms of a call", lambda rows: shown(rows[0]["called"].get("cpu_ms_per_call"), 3)),
    ]
    said = (
        "Memory in use, a search, a whole `tools/list` (this gateway lists its own three tools, unless told to expose"
    )
    return f"## Many tools\n\n{said} others), and the CPU of a call, by the number of tools.\n\n" + grid(
        "tools", "tools", columns
    )


def cold() -> str:
    """Cold starts: three times each."""

    def seconds(key: str) -> Any:
        return lambda rows: shown(median([row.get(key) for row in rows]))

    columns = [("greeted", seconds("greeted")), ("all tools", seconds("all"))]
    said = "Seconds from the start of the process, in front of servers that take 0.5 s to start, until it has greeted"
    return (
        f"## Cold start\n\n{said} a client, and until that client can see or find the tools of all servers.\n\n"
        + grid("cold", "servers", columns)
    )


def idle() -> str:
    rows = [row for row in records("idle") if "failed" not in row]
    lines = [
        [row["peer"], row["pair"], shown(row["cpu_percent"]), shown(row["memory"]["rss"], 0), str(row["processes"])]
        for row in sorted(rows, key=lambda row: row["memory"]["rss"])
    ]
    return "## Nothing to do\n\n" + table(["", "", "CPU %", "MiB", "processes"], lines) + failures("idle")


def memory() -> str:
    """Whether memory grows."""
    said = """## Does memory grow?

Calls of which 40 % are plain, 20 % report progress, 20 % are cancelled half-way and 20 % ask the user something,
through the gateway to four servers: of both eras, over HTTP and over stdio. Memory is taken every 1,000 calls after a
warm-up of 2,000, in a pause, and a line is fitted to the second half, when all bounded buffers are full, with an
uncertainty of two standard errors. It does not grow if that line rises by less than 50 bytes per call, uncertainty
included.

"""
    lines = []
    for row in records("memory"):
        if "failed" in row:
            continue
        first, last = row["points"][0], row["points"][-1]
        held = " → ".join(f"{held / 1048576:.1f}" for _, held in (first, row["points"][len(row["points"]) // 2], last))
        slope = f"{row['bytes_per_call']:+.0f} ± {row['plus_minus']:.0f}"
        wrong = str(sum(row["wrong"].values()))
        lines.append([row["pair"], f"{last[0]:,}", held, slope, row["verdict"], wrong])
    head = [
        "clients",
        "calls",
        "MiB after warm-up → half-way → at the end",
        "bytes per call",
        "verdict",
        "wrong answers",
    ]
    return said + table(head, lines) + failures("memory")


def soak() -> str:
    """Whether all stays well while servers fail at random."""
    said = "Mixed calls while servers fail at random: one of a hundred asks for a fault, which hits others, too."
    lines = []
    for row in records("soak"):
        if "failed" in row:
            continue
        counts = [f"{sum(row[name].values()):,}" for name in ("right", "wrong", "reasons")]
        faults = ", ".join(f"{name} {count}" for name, count in sorted(row["reasons"].items()))
        held = [f"{row['first'][key]} → {row['last'][key]}" for key in ("mib", "files")]
        lines.append([row["pair"], f"{row['calls']:,}", *counts, faults, *held])
    head = ["clients", "calls", "right", "wrong", "failed with a reason", "of which", "MiB", "open files"]
    return f"## Does it stay well?\n\n{said}\n\n" + table(head, lines) + failures("soak")


def replicas() -> str:
    """Write what several gateways do together."""
    said = """Gateways with one Redis behind haproxy, as core/docs/replicas.md says; clients of the modern era,
results of 1 KiB. *CPU* is that of all of them, load balancer and Redis included."""
    rows = [row for row in records("replicas") if row.get("gateway", {}).get("good")]
    lines = []
    for count, callers in sorted({(row["replicas"], row["callers"]) for row in rows}, key=lambda key: (key[1], key[0])):
        mine = Samples([row for row in rows if (row["replicas"], row["callers"]) == (count, callers)], "gateway")
        cost = [shown(mine.median("per_second"), 0), shown(mine.median("cpu_ms_per_call"), 3)]
        taken = " / ".join(shown(mine.median(key)) for key in ("p50_ms", "p95_ms", "p99_ms"))
        lines.append([str(callers), str(count) if count else "one, by itself", *cost, taken, mine.faults()])
    head = ["callers", "gateways", "calls/s", "CPU ms per call", "p50 / p95 / p99 ms", "wrong"]
    return f"## Several gateways\n\n{said}\n\n" + table(head, lines) + failures("replicas")


def profile() -> str:
    """Write where the CPU time of a call goes."""
    said = """32 callers, results of 1 KiB. *µs* is the share of the samples times the CPU of a call, which was
measured without taking samples. What C code does counts for the Python function that called it: sending is
the kernel's work above all."""
    rows = {f"{row['peer']}, {row['pair']}": row for row in records("profile") if "failed" not in row}
    parts = list(next(iter(rows.values()))["shares"]) if rows else []
    lines = [
        [part, *(shown(1000 * row["cpu_ms_per_call"] * row["shares"][part], 1) for row in rows.values())]
        for part in parts
    ]
    total = ["**together**", *(shown(1000 * row["cpu_ms_per_call"], 1) for row in rows.values())]
    return f"## Where each microsecond goes\n\n{said}\n\n" + table(["µs", *rows], [*lines, total]) + failures("profile")


def chart() -> str:
    """Draw CPU per call at 32 callers: one panel for HTTP, one for stdio."""
    panels = []
    for pair, title in (("http-http", "HTTP to HTTP"), ("stdio-stdio", "stdio to stdio")):
        samples = measured(of_pair("calls", pair))
        costs = {
            name: cost
            for name, by in samples.items()
            if name != "direct" and 32 in by and (cost := by[32].median("cpu_ms_per_call"))
        }
        if costs:
            panels.append((title, sorted(costs.items(), key=lambda each: each[1])))
    return bars("CPU milliseconds per call, 32 callers, 1 KiB results (logarithmic; shorter is better)", panels)


def summary() -> str:
    """Return the short table for the project's own page: HTTP to HTTP."""
    samples = measured(of_pair("calls", "http-http"))
    lines = []
    for name in sorted(samples, key=lambda name: samples[name][32].median("cpu_ms_per_call") or 0):
        one, many = samples[name][1], samples[name][32]
        if name != "direct" and many.good:
            rate = shown(many.median("per_second"), 0)
            lines.append([name, shown(one.added(), 2), rate, shown(many.median("cpu_ms_per_call"), 3)])
    return table(
        ["HTTP to HTTP, results of 1 KiB", "added latency ms", "calls/s, 32 callers", "CPU ms per call"], lines
    )


def page() -> str:
    """Return the whole page."""
    parts = {"calls": calls, "ordinary": ordinary, "large": large, "tools": tools, "cold": cold, "idle": idle}
    parts |= {"memory": memory, "soak": soak, "replicas": replicas, "profile": profile}
    written = [write() for scenario, write in parts.items() if records(scenario)]
    return "\n".join([INTRODUCTION, heading(), "![CPU per call](results.svg)\n", *written]).rstrip() + "\n"


def write(folder: Path = HERE) -> None:
    """Write results.md and results.svg."""
    if folder == HERE and MEASUREMENTS.exists() and MARK in (text := MEASUREMENTS.read_text(encoding="utf-8")):
        before, _, after = text.split(MARK)
        MEASUREMENTS.write_text(f"{before}{MARK}\n{summary()}{MARK}{after}", encoding="utf-8")
    (folder / "results.md").write_text(page(), encoding="utf-8")
    (folder / "results.svg").write_text(chart(), encoding="utf-8")
    print(f"written: {folder / 'results.md'}, {folder / 'results.svg'}")
