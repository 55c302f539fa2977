"""Cold start in front of 1, 10 and 30 servers that take half a second to start: when does what answer?"""

from __future__ import annotations

import sys
from pathlib import Path

from ..bench import Bench, say
from ..measurement import Stage
from ..peers import Peer, Server

SLOW_SERVER = Path(__file__).parent.parent / "programs" / "slow_server.py"
TOOLS = 5


def slow_server(number: int) -> Server:
    """Return a server over stdio that answers nothing for half a second."""
    name = f"d{number + 1}"
    command = (sys.executable, "-S", str(SLOW_SERVER), name, str(TOOLS), "0.5")
    return Server(name, command=command, last=f"{name}_tool_{TOOLS - 1}")


def cold(bench: Bench) -> None:
    """Seconds from the start of the process to the greeting, to the first list, and to the last server's tools."""
    for peer, pair in bench.chosen():
        if not pair.endswith("stdio") or peer.name == "direct":
            continue
        for count in bench.servers:
            if count == 1 or peer.aggregates:
                bench.measure(
                    "cold", peer, pair, lambda p=peer, w=pair, n=count: measure(bench, p, w, n), servers=count
                )


def measure(bench: Bench, peer: Peer, pair: str, count: int) -> None:
    peer.version()
    for round_ in range(bench.rounds):
        with Stage(peer, pair, servers=count, make=slow_server, patience=150) as stage:
            times = stage.wait()
        bench.record("cold", peer, pair, servers=count, round=round_, **times)
        shown = "  ".join(f"{what} {seconds:6.2f} s" for what, seconds in times.items())
        say("cold", peer, pair, f"#{round_} {count:2} servers:", shown)
