"""Calls with results of 1 KiB at 1, 32 and 256 callers, and of 1 MiB at 1 and 4, each beside the yardsticks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from ..bench import Bench, direct_pair, say, yardstick
from ..measurement import MEBIBYTE, Stage
from ..peers import Peer

KIBIBYTE = 1024
Json = dict[str, Any]


@dataclass(frozen=True)
class Load:
    """What is called: results of how many bytes, by how many callers at once."""

    scenario: str
    size: int
    callers: Sequence[int]


def calls(bench: Bench) -> None:
    """1 KiB: the cost of a call."""
    run(bench, Load("calls", KIBIBYTE, bench.callers))


def large(bench: Bench) -> None:
    """1 MiB: the cost of its bytes."""
    run(bench, Load("large", MEBIBYTE, (1, 4)))


def run(bench: Bench, load: Load) -> None:
    for peer, pair in bench.chosen():
        if peer.name not in {"direct", "raw"}:
            measure(bench, load, peer, pair)


def measure(bench: Bench, load: Load, peer: Peer, pair: str) -> None:
    """Measure one peer: in each round the direct call, the raw proxy and the peer, one after the other."""

    def deed() -> None:
        peer.version()
        with ExitStack() as stack:
            # the peer first: one of them ends processes at its start that it takes for its own lost children
            stage = stack.enter_context(Stage(peer, pair))
            direct = stack.enter_context(Stage(yardstick("direct", peer), direct_pair(pair)))
            raw = stack.enter_context(Stage(yardstick("raw", peer), pair))
            for round_ in range(bench.rounds):
                for count in load.callers:
                    measured = {
                        "direct": direct.measure(count, seconds=bench.seconds / 4, size=load.size),
                        "raw": raw.measure(count, seconds=bench.seconds / 2, size=load.size),
                        "gateway": stage.measure(count, seconds=bench.seconds, size=load.size),
                    }
                    bench.record(load.scenario, peer, pair, round=round_, callers=count, **measured)
                    say(load.scenario, peer, pair, f"#{round_} x{count:<4}", line(measured))
            after = stage.measure(1, calls=20, size=KIBIBYTE)
            if after.get("good") != after.get("calls") or "failed" in after:
                bench.record(load.scenario, peer, pair, after=after)
                say(load.scenario, peer, pair, "DOES NOT RECOVER", str(after)[:200])

    bench.measure(load.scenario, peer, pair, deed)


def line(measured: dict[str, Json]) -> str:
    """Return one measurement in one line."""
    direct, raw, gateway = measured["direct"], measured["raw"], measured["gateway"]
    if "failed" in gateway:
        return f"FAILED {gateway['failed'][:200]}"
    faults = f"  {gateway['faults']} of {gateway['calls']} wrong: {gateway['samples'][:1]}" if gateway["faults"] else ""
    return (
        f"p50 {gateway['p50_ms']:8.3f} ms (direct {direct.get('p50_ms', 0):.3f})  "
        f"{gateway['per_second']:9.1f}/s (direct {direct.get('per_second', 0):.0f}, "
        f"raw {raw.get('per_second', 0):.0f})  "
        f"CPU {gateway['cpu_ms_per_call']:8.4f} ms (raw {raw.get('cpu_ms_per_call', 0):.4f}){faults}"
    )
