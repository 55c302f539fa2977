"""The speed: all sets in one catalogue of ten thousand tools, searched for what tools say of themselves."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio
from searchers import Searcher
from sets import SETS, everything

QUERIES = 200
OWN_WORDS = 6
LONGEST = 200
"""How many characters the gateway lets a query have."""


@dataclass(frozen=True)
class Pace:
    """How a searcher does in a large catalogue.

    `build` is its CPU time in seconds and `query` in milliseconds, `pause` the longest
    time in milliseconds that the event loop stood still while it built, and `own_words`
    the share of tools that are among the first five for the beginning of their own description.
    """

    build: float
    query: float
    pause: float
    own_words: float


async def speed(searcher: Searcher) -> Pace:
    """Measure a searcher over the tools of all sets. What was stored of them before is used, as the gateway would."""
    tools, chance = everything(), random.Random(1)
    often = Counter(_own_words(tool) for tool in tools)
    alone = [tool for tool in tools if often[words := _own_words(tool)] == 1 and len(words.split()) == OWN_WORDS]
    asked = chance.sample([case.query[:LONGEST] for item in SETS for case in item.cases], QUERIES)
    pauses: list[float] = []
    began = time.process_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_watch, pauses)
        find = await searcher(tools)
        tasks.cancel_scope.cancel()
    built = time.process_time()
    for query in asked:
        await find(query, 5)
    searched = time.process_time()
    chosen = chance.sample(alone, QUERIES)
    found = [tool["id"] in await find(_own_words(tool), 5) for tool in chosen]
    return Pace(
        built - began, (searched - built) / QUERIES * 1000, max(pauses, default=0.0) * 1000, sum(found) / QUERIES
    )


def _own_words(tool: dict[str, Any]) -> str:
    return " ".join((tool["description"] or "").split()[:OWN_WORDS])


async def _watch(pauses: list[float]) -> None:
    """Note how much longer than a millisecond each millisecond of the event loop takes."""
    while True:
        began = time.perf_counter()
        await anyio.sleep(0.001)
        pauses.append(time.perf_counter() - began - 0.001)


def print_paces(paces: Mapping[str, Pace]) -> None:
    """Print them, a line each."""
    print(f"\nall sets together: {len(everything())} tools; CPU time; the longest pause of the event loop meanwhile")
    print(f"{'':<18}{'build s':>9}{'query ms':>9}{'pause ms':>9}{'own words: hit@5':>18}")
    for name, pace in paces.items():
        print(f"{name:<18}{pace.build:>9.2f}{pace.query:>9.2f}{pace.pause:>9.1f}{pace.own_words:>18.3f}")
