"""The measures: how well a list of tools answers a query, each between 0 and 1."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from sets import Case

CUTOFFS = (1, 3, 5, 10)
MEASURES = (*(f"R@{cutoff}" for cutoff in CUTOFFS), "hit@5", "nDCG@10", "MRR")


def measured(ranked: Sequence[str], case: Case) -> dict[str, float]:
    """Score the first ten of a list.

    Where any of the relevant tools will do, recall is 1 as soon as one is found, and the
    gain is that of the first; else recall is the share that is found.
    """
    hits = [name in case.relevant for name in ranked[:10]]
    first = next((rank for rank, hit in enumerate(hits, 1) if hit), 0)
    if case.every:
        recall = {cutoff: sum(hits[:cutoff]) / len(case.relevant) for cutoff in CUTOFFS}
        best = sum(1 / math.log2(rank + 1) for rank in range(1, min(10, len(case.relevant)) + 1))
        gain = sum(hit / math.log2(rank + 1) for rank, hit in enumerate(hits, 1)) / best
    else:
        recall = {cutoff: float(any(hits[:cutoff])) for cutoff in CUTOFFS}
        gain = 1 / math.log2(first + 1) if first else 0.0
    return {
        **{f"R@{cutoff}": value for cutoff, value in recall.items()},
        "hit@5": float(any(hits[:5])),
        "nDCG@10": gain,
        "MRR": 1 / first if first else 0.0,
    }


def means(rows: Iterable[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each measure."""
    every = list(rows)
    return {measure: math.fsum(row[measure] for row in every) / len(every) for measure in MEASURES}
