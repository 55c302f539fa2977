"""Put on a gateway's PYTHONPATH to find leaks: at SIGUSR2 it writes what its memory holds to BENCH_TRACE.

The first signal begins the tracing (it would make the start-up very slow), the second remembers, and each later one
writes what has grown since then: allocations by where they were made, and objects by their type.
"""

from __future__ import annotations

import collections
import gc
import linecache
import os
import signal
import tracemalloc
from pathlib import Path
from typing import Any

remembered: list[Any] = []


def look(*_: object) -> None:
    gc.collect()
    if not tracemalloc.is_tracing():
        tracemalloc.start(12)
        return
    types = collections.Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())
    own = (__file__, tracemalloc.__file__, linecache.__file__, collections.__file__)
    snapshot = tracemalloc.take_snapshot().filter_traces(
        [tracemalloc.Filter(inclusive=False, filename_pattern=name) for name in own]
    )
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
    signal.signal(signal.SIGUSR2, look)
