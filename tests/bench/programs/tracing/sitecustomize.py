"""Put on a gateway's PYTHONPATH to find leaks: at SIGUSR2 it writes what its memory holds to BENCH_TRACE.

The first signal remembers; each later one writes what has grown since then: allocations by where they were made, and
objects by their type.
"""

from __future__ import annotations

import gc
import os
import signal
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

remembered: list[Any] = []


def look(*_: object) -> None:
    gc.collect()
    types = Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())
    snapshot = tracemalloc.take_snapshot()
    if not remembered:
        remembered.extend((snapshot, types))
        return
    before, types_before = remembered
    lines = [str(each) for each in snapshot.compare_to(before, "lineno")[:25]]
    lines += [f"{more:+8} {kind}" for kind, more in (types - types_before).most_common(25)]
    traces = snapshot.compare_to(before, "traceback")[:6]
    lines += [line for each in traces for line in (f"--- {each.size_diff:+} bytes", *each.traceback.format())]
    Path(os.environ["BENCH_TRACE"]).write_text("\n".join(lines) + "\n")


if "BENCH_TRACE" in os.environ:
    tracemalloc.start(12)
    signal.signal(signal.SIGUSR2, look)
