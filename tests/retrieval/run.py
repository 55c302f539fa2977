"""Runs every installed ranker, and what else there is, over every set, prints how they do, and compares with before.

python tests/retrieval/run.py                  everything; fails if a ranker has become worse
python tests/retrieval/run.py --ours           only the installed rankers, without their speed; fails if one is worse
python tests/retrieval/run.py bm25 --sets metatool
python tests/retrieval/run.py --write          takes what it finds as the new baseline
python tests/retrieval/run.py --whole          what is not ours gets every query, not only every fifth
python tests/retrieval/run.py --longer-than 200    only queries of more characters, and sets that have them
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from itertools import repeat
from pathlib import Path

import anyio
from measures import MEASURES, means, measured
from searchers import OTHERS, Searcher, installed, ranker
from sets import SETS, Set
from speed import Pace, print_paces, speed

from mcp_gateway.plugin import RankerContext

BASELINE = Path(__file__).parent / "baseline.json"

TOLERANCE = 0.01
"""How far the macro recall@5 of a ranker may fall below the baseline."""

SPARED = 5
"""What is not ours gets every fifth query, unless all are wanted: it takes longer than all that is ours together."""

PROCESSES = 2
"""How many searchers run at once, unless their speed is measured."""

Run = tuple[dict[str, float], float, float]
"""Of a searcher over a set: the means, and the CPU time of the build (s) and of a query (ms)."""

Results = dict[str, dict[str, dict[str, float]]]
"""By searcher, set and measure."""


MODULES = {"rank_bm25 (plain)": "rank_bm25", "bm25s": "bm25s", "FastMCP 4": "fastmcp"}
"""What has to be installed for each searcher that is not ours."""


def list_names(wanted: Sequence[str], *, ours: bool = False) -> list[str]:
    """Return the names of the rankers and, unless only `ours` are wanted, of the others that are installed."""
    others = [] if ours else [name for name in OTHERS if importlib.util.find_spec(MODULES[name])]
    return [name for name in (*sorted(installed()), *others) if not wanted or name in wanted]


@asynccontextmanager
async def open_searcher(name: str) -> AsyncIterator[Searcher]:
    """Open a ranker, with all others beside it, or what is not ours."""
    if name in OTHERS:
        yield OTHERS[name]
        return
    around = RankerContext.from_installed()
    others = {other: held for other, held in around.rankers.items() if other != name}
    async with ranker(name, around.rankers[name], RankerContext(around.storage, others)) as opened:
        yield opened


async def run(searcher: Searcher, case_set: Set, step: int = 1) -> Run:
    """Search for every `step`th query; return the means, and the CPU time of the build (s) and of a query (ms)."""
    began = time.process_time()
    find = await searcher(case_set.tools)
    built = time.process_time()
    rows = [measured(await find(case.query, 10), case) for case in case_set.cases[::step]]
    return means(rows), built - began, (time.process_time() - built) / len(rows) * 1000


async def run_all(name: str, sets: Sequence[Set], step: int, with_speed: bool) -> tuple[list[Run], Pace | None]:
    """Open a searcher and run it over sets; then measure its speed, if wanted."""
    async with open_searcher(name) as searcher:
        runs = [await run(searcher, case_set, step) for case_set in sets]
        return runs, await speed(searcher) if with_speed else None


def evaluate(
    names: Sequence[str], sets: Sequence[Set], step: int, *, with_speed: bool
) -> tuple[Results, dict[str, Pace]]:
    """Run searchers over sets, and print a table for each set; return the results, and the paces if wanted.

    What is not ours gets every `step`th query. Searchers run in other processes, of which there is only one if the
    speed is measured.
    """
    with ProcessPoolExecutor(1 if with_speed else PROCESSES) as pool:
        steps = [step if name in OTHERS else 1 for name in names]
        runs = pool.map(anyio.run, repeat(run_all), names, repeat(sets), steps, repeat(with_speed))
        by_name = dict(zip(names, runs, strict=True))
    for number, case_set in enumerate(sets):
        print(f"\n{case_set.name}: {len(case_set.tools)} tools, {len(case_set.cases)} queries")
        print(_row("", [*MEASURES, "build s", "query ms"]))
        for name, (found, _) in by_name.items():
            mean, build, query = found[number]
            print(_row(name, [*(f"{mean[key]:.3f}" for key in MEASURES), f"{build:.2f}", f"{query:.2f}"]), flush=True)
    results = {
        name: {case_set.name: mean for case_set, (mean, _, _) in zip(sets, found, strict=True)}
        for name, (found, _) in by_name.items()
    }
    return results, {name: pace for name, (_, pace) in by_name.items() if pace is not None}


def macro(by_set: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return the mean over the sets of each measure: every set counts the same, however many queries it has."""
    return {measure: sum(mean[measure] for mean in by_set.values()) / len(by_set) for measure in MEASURES}


def worse(results: Results) -> list[str]:
    """Say which rankers find less than the baseline says they did."""
    baseline = json.loads(BASELINE.read_text(encoding="utf-8"))
    said = []
    for name, by_set in results.items():
        before, now = baseline.get(name, {}).get("R@5", 0.0), macro(by_set)["R@5"]
        if now < before - TOLERANCE:
            said.append(f"{name}: macro recall@5 fell from {before:.3f} to {now:.3f}")
    return said


def write(results: Results) -> None:
    """Take results as the baseline of the rankers that were run, rounded; what is not ours has none."""
    before = json.loads(BASELINE.read_text(encoding="utf-8")) if BASELINE.exists() else {}
    found = {
        name: {measure: round(value, 4) for measure, value in macro(by_set).items()}
        for name, by_set in results.items()
        if name in installed()
    }
    BASELINE.write_text(json.dumps({**before, **found}, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _row(name: str, cells: Sequence[str]) -> str:
    return f"{name:<18}" + "".join(f"{cell:>9}" for cell in cells)


def _main(arguments: argparse.Namespace) -> int:
    sets = [item for item in SETS if not arguments.sets or item.name in arguments.sets]
    if arguments.longer_than:
        sets = [longer for item in sets if (longer := item.longer_than(arguments.longer_than)).cases]
    names = list_names(arguments.searchers, ours=arguments.ours)
    with_speed = not arguments.sets and not arguments.longer_than and not arguments.ours
    if not arguments.whole and not arguments.ours:
        print(f"{', '.join(OTHERS)}: every {SPARED}th query only; all of them with --whole")
    results, paces = evaluate(names, sets, 1 if arguments.whole else SPARED, with_speed=with_speed)
    print(f"\nmean of {len(sets)} sets")
    print(_row("", MEASURES))
    for name, by_set in results.items():
        print(_row(name, [f"{value:.3f}" for value in macro(by_set).values()]))
    if paces:
        print_paces(paces)
    if arguments.write:
        write(results)
    elif not arguments.sets and not arguments.longer_than and (complaints := worse(results)):
        print(*complaints, sep="\n", file=sys.stderr)
        return 1
    return 0


def main() -> int:
    """Run the command; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("searchers", nargs="*", help=f"only these: {', '.join([*sorted(installed()), *OTHERS])}")
    parser.add_argument("--ours", action="store_true", help="only the installed rankers, without their speed")
    parser.add_argument("--sets", nargs="+", choices=[item.name for item in SETS], help="only these sets")
    parser.add_argument("--longer-than", type=int, default=0, help="only queries of more characters")
    parser.add_argument("--whole", action="store_true", help="give what is not ours every query, too")
    parser.add_argument("--write", action="store_true", help="take the results as the new baseline")
    arguments = parser.parse_args()
    if unknown := {*arguments.searchers} - {*installed(), *OTHERS}:
        parser.error(f"no such searcher: {', '.join(sorted(unknown))}")
    return _main(arguments)


if __name__ == "__main__":
    sys.exit(main())
