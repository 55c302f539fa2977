"""Calls with results of 1 KiB at 1, 32 and 256 callers, and of 1 MiB at 1 and 4, each beside the yardsticks."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from bench import Bench, direct_pair, say, yardstick
from peers import Peer
from stage import MEBIBYTE, Stage

KIBIBYTE = 1024
Json = dict[str, Any]


def calls(bench: Bench) -> None:
    """1 KiB: the cost of a call."""
    run(bench, "calls", KIBIBYTE, bench.callers)


def large(bench: Bench) -> None:
    """1 MiB: the cost of its bytes."""
    run(bench, "large", MEBIBYTE, (1, 4))


def run(bench: Bench, scenario: str, size: int, callers: Any) -> None:
    for peer, pair in bench.chosen():
        if peer.name not in {"direct", "raw"}:
            measure(bench, scenario, peer, pair, size, callers)


def measure(bench: Bench, scenario: str, peer: Peer, pair: str, size: int, callers: Any) -> None:
    """Measure one peer: in each round the direct call, the raw proxy and the peer, one after the other."""

    def deed() -> None:
        peer.version()
        with ExitStack() as stack:
            # the peer first: one of them ends processes at its start that it takes for its own lost children
            stage = stack.enter_context(Stage(peer, pair))
            direct = stack.enter_context(Stage(yardstick("direct", peer), direct_pair(pair)))
            raw = stack.enter_context(Stage(yardstick("raw", peer), pair))
            for round_ in range(bench.rounds):
                for count in callers:
                    measured = {
                        "direct": direct.measure(count, seconds=bench.seconds / 4, size=size),
                        "raw": raw.measure(count, seconds=bench.seconds / 2, size=size),
                        "gateway": stage.measure(count, seconds=bench.seconds, size=size),
                    }
                    bench.record(scenario, peer, pair, round=round_, callers=count, **measured)
                    say(scenario, peer, pair, f"#{round_} x{count:<4}", line(measured))
            after = stage.measure(1, calls=20, size=KIBIBYTE)
            if after.get("good") != after.get("calls") or "failed" in after:
                bench.record(scenario, peer, pair, after=after)
                say(scenario, peer, pair, "DOES NOT RECOVER", str(after)[:200])

    bench.measure(scenario, peer, pair, deed)


def line(measured: dict[str, Json]) -> str:
    """Return one measurement in one line."""
    direct, raw, gateway = measured["direct"], measured["raw"], measured["gateway"]
    if "failed" in gateway:
        return f"FAILED {gateway['failed'][:200]}"
    faults = f"  {gateway['faults']} of {gateway['calls']} wrong: {gateway['samples'][:1]}" if gateway["faults"] else ""
    return (
        f"p50 {gateway['p50_ms']:8.3f} ms (direct {direct.get('p50_ms', 0):.3f})  "
        f"{gateway['per_second']:9.1f}/s (direct {direct.get('per_second', 0):.0f}, raw {raw.get('per_second', 0):.0f})  "
        f"CPU {gateway['cpu_ms_per_call']:8.4f} ms (raw {raw.get('cpu_ms_per_call', 0):.4f}){faults}"
    )
