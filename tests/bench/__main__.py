"""The bench: `tox -e bench -- [SCENARIO...] [--peers NAME,...]`; README.md beside this file says what it does."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from . import machine, tables
from .bench import Bench
from .binaries import cache_folder, program
from .conversations import KINDS
from .environments import Unavailable
from .peers import PAIRS, PEERS, Peer
from .rows import ROWS
from .scenarios.calls import calls, large
from .scenarios.cold import cold
from .scenarios.memory import memory
from .scenarios.ordinary import ordinary
from .scenarios.profile import profile
from .scenarios.replicas import replicas
from .scenarios.soak import soak
from .scenarios.tools import idle, tools

SCENARIOS: dict[str, Callable[[Bench], None]] = {
    "calls": calls,
    "ordinary": ordinary,
    "large": large,
    "tools": tools,
    "cold": cold,
    "idle": idle,
    "memory": memory,
    "soak": soak,
    "replicas": replicas,
    "profile": profile,
}
OTHERS = ("check", "install", "report")
"""Deeds that measure nothing: to try the bench's own tools, to make the peers' environments, to write the tables."""


def numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def chosen_peers(text: str) -> list[Peer]:
    names = list(PEERS) if text == "all" else text.split(",")
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}; there are {', '.join(PEERS)}")
    return [PEERS[name] for name in names]


def chosen_pairs(text: str) -> list[str]:
    unknown = [pair for pair in text.split(",") if pair not in PAIRS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}; there are {', '.join(PAIRS)}")
    return text.split(",")


def chosen_rows(text: str) -> list[str]:
    unknown = [row for row in text.split(",") if row not in ROWS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}; there are {', '.join(ROWS)}")
    return text.split(",")


def chosen_eras(text: str) -> list[str]:
    for eras in text.split(","):
        client, _, server = eras.partition("-")
        if client not in {"handshake", "modern"} or server not in {"handshake", "modern", "both", ""}:
            raise argparse.ArgumentTypeError(f"{eras}: say handshake, modern, or CLIENT-SERVER (modern-handshake)")
    return text.split(",")


def find_baseline(text: str) -> Path:
    """Return the program: that file, or the one in that environment."""
    path = Path(text).resolve()
    found = path / "bin" / "mcp-orchestration-gateway" if path.is_dir() else path
    if not found.exists():
        raise argparse.ArgumentTypeError(f"{found}: there is no such program")
    return found


def chosen_kinds(text: str) -> tuple[str, ...]:
    unknown = [kind for kind in text.split(",") if text and kind not in KINDS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}; there are {', '.join(KINDS)}")
    return tuple(text.split(",")) if text else ()


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Measures this gateway beside others.")
    parser.add_argument("scenario", nargs="*", help=f"{', '.join([*SCENARIOS, *OTHERS])}; by default all")
    parser.add_argument("--peers", type=chosen_peers, default="all", help="names, with commas; all by default")
    parser.add_argument("--pairs", type=chosen_pairs, default=",".join(PAIRS), help="how client and servers connect")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement of calls")
    parser.add_argument(
        "--callers", type=numbers, default="1,32,256", help="how many at once, in `calls`, `ordinary` and `replicas`"
    )
    parser.add_argument(
        "--rows", type=chosen_rows, default=",".join(ROWS), help=f"of `ordinary`: {', '.join(ROWS)}; by default all"
    )
    parser.add_argument(
        "--eras",
        type=chosen_eras,
        default="handshake,modern",
        help="in `ordinary`: of client and server, or CLIENT-SERVER",
    )
    parser.add_argument("--baseline", type=find_baseline, help="another gateway to measure beside this one")
    parser.add_argument("--tools", type=numbers, default="10,100,1000,10000", help="how many, in `tools`")
    parser.add_argument("--servers", type=numbers, default="1,10,30", help="how many, in `cold`")
    parser.add_argument("--replicas", type=numbers, default="1,2,3", help="how many, in `replicas`")
    parser.add_argument("--calls", type=int, default=20000, help="in `memory` and `soak`")
    parser.add_argument("--kinds", type=chosen_kinds, default="", help=f"of calls in `memory`: {', '.join(KINDS)}")
    parser.add_argument("--trace", action="store_true", help="say what has grown, in `memory`")
    return parser.parse_args(arguments)


def install(peers: Sequence[Peer]) -> None:
    """Make all environments, and say what is in them."""
    for peer in peers:
        try:
            print(f"{peer.name:30} {peer.described()}", flush=True)
        except Unavailable as error:
            print(f"{peer.name:30} cannot be installed: {error}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    unknown = [name for name in options.scenario if name not in {*SCENARIOS, *OTHERS}]
    if unknown:
        raise SystemExit(f"bench: no scenario {', '.join(unknown)}; there are {', '.join([*SCENARIOS, *OTHERS])}")
    for name in [name for name in os.environ if name.startswith(("GATEWAY_", "MCP_GATEWAY_"))]:
        del os.environ[name]  # settings of the person who measures are not what is measured
    for name in ("downstream", "load"):
        program(name)
    fields = (
        "peers",
        "pairs",
        "rounds",
        "seconds",
        "callers",
        "tools",
        "servers",
        "replicas",
        "calls",
        "kinds",
        "trace",
        "rows",
        "eras",
        "baseline",
    )
    bench = Bench(**{name: getattr(options, name) for name in fields}, machine=machine.describe())
    if "check" in options.scenario:
        subprocess.run([sys.executable, "-m", "pytest", "-q", str(Path(__file__).parent)], check=True)
    if "install" in options.scenario:
        install(options.peers)
    for name in options.scenario or SCENARIOS:
        if name in SCENARIOS:
            SCENARIOS[name](bench)
    if not options.scenario or "report" in options.scenario:
        tables.write()
    elif set(options.scenario) & set(SCENARIOS):
        tables.write(cache_folder())


if __name__ == "__main__":
    main()
