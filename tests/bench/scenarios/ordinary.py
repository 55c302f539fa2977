"""Calls as ordinary clients and servers make them, beside plain ones, the direct call and other gateways."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..bench import Bench, direct_pair, say, yardstick
from ..load import Load
from ..measurement import Stage
from ..peers import PEERS, Peer
from ..peers.gateway import Baseline
from ..rows import ROWS, Row

Json = dict[str, Any]
OURS = {"handshake": "gateway", "modern": "gateway-modern"}
OTHERS = ("envoy", "mcp-compressor", "slop-mcp")
"""Gateways that are as fast as ours, or nearly."""
SCENARIO = "ordinary"


@dataclass(frozen=True)
class Case:
    """What is measured side by side; the eras are those of the client and of the server."""

    row: Row
    pair: str
    era: str
    server_era: str

    @property
    def eras(self) -> str:
        return self.era if self.era == self.server_era else f"{self.era}-{self.server_era}"

    @property
    def key(self) -> Json:
        return {"row": self.row.name, "eras": self.eras}


def ordinary(bench: Bench) -> None:
    """Measure each chosen row, for each pair and each pair of eras."""
    for pair in bench.pairs:
        for eras in bench.eras:
            client, _, server = eras.partition("-")
            for row in (ROWS[name] for name in bench.rows):
                if pair in row.pairs and client in row.eras:
                    measure_case(bench, Case(row, pair, client, server or client))


def choose_peers(bench: Bench, case: Case) -> Iterator[Peer]:
    """Yield what is measured; the direct call last: some peers end processes at their start that are not theirs."""
    chosen = {peer.name for peer in bench.peers}
    for name in OTHERS:
        peer = PEERS[name]
        if name in chosen and case.row.is_for_others and peer.era == case.era and case.pair in peer.pairs:
            yield peer
    if OURS[case.era] in chosen:
        yield PEERS[OURS[case.era]]
    if bench.baseline:
        yield Baseline(bench.baseline, case.era)
    yield yardstick("direct", PEERS[OURS[case.era]])


def measure_case(bench: Bench, case: Case) -> None:
    """Measure all peers of a case in turns: in each round one after the other, all of them running."""
    with ExitStack() as stack:
        stages: list[tuple[Peer, Stage]] = []

        def start(peer: Peer) -> None:
            peer.version()
            stages.append((peer, stack.enter_context(open_stage(case, peer))))

        for peer in choose_peers(bench, case):
            bench.measure(SCENARIO, peer, case.pair, partial(start, peer), **case.key)
        for number in range(bench.rounds):
            for callers in case.row.callers or bench.callers:
                for peer, stage in stages:
                    measured = run_load(stage, case.row, callers, bench.seconds)
                    turn = {"round": number, "callers": callers}
                    bench.record(SCENARIO, peer, case.pair, **case.key, **turn, gateway=measured)
                    where = f"{case.eras:10} {case.row.name:14} #{number} x{callers:<4}"
                    say(SCENARIO, peer, case.pair, where, to_line(measured))


@contextmanager
def open_stage(case: Case, peer: Peer) -> Iterator[Stage]:
    """Start a gateway and its servers, and the other clients that are there meanwhile."""
    options = (*case.row.server, "--era", case.server_era)
    pair = direct_pair(case.pair) if peer.name == "direct" else case.pair
    if peer.name == "direct" and case.server_era != case.era:
        options = (*case.row.server, "--era", "both")
    with Stage(peer, pair, options=options, credentials=case.row.credentials) as stage:
        others = open_sessions(stage, case.row) if case.row.open_sessions and peer.name != "direct" else None
        try:
            if others and others.failed:
                raise RuntimeError(f"the other sessions could not be opened: {others.failed}")
            yield stage
        finally:
            if others:
                others.end()


def open_sessions(stage: Stage, row: Row) -> Load:
    """Open the sessions of clients that do nothing meanwhile."""
    return stage.load(row.open_sessions, warmup=0, row=replace(row, client=("--listen",) if row.are_listening else ()))


def run_load(stage: Stage, row: Row, callers: int, seconds: float) -> Json:
    """Run one load; return what was measured."""
    try:
        return stage.measure(callers, seconds=seconds, row=row)
    except (OSError, ValueError) as error:  # the load client has ended
        return {"failed": f"{type(error).__name__}: {error}"}


def to_line(measured: Json) -> str:
    """Return one measurement in one line."""
    if "failed" in measured:
        return f"FAILED {measured['failed'][:200]}"
    faults = f"  {measured['kinds']}: {measured['samples'][:1]}" if measured["faults"] else ""
    cost = f"CPU {measured.get('cpu_ms_per_call', 0):8.4f} ms"
    latency = f"p50 {measured['p50_ms']:8.3f}  p99 {measured['p99_ms']:8.3f}  {measured['per_second']:9.1f}/s"
    return f"{cost}  {latency}  {measured['good']} good, {measured['reports']} reports{faults}"
