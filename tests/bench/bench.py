"""What the scenarios share: what was asked for, the yardsticks beside each peer, and the records that are kept."""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .binaries import cache_folder
from .environments import Unavailable
from .peers import PEERS, Peer

Json = dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """One run of the bench."""

    peers: Sequence[Peer]
    pairs: Sequence[str]
    rounds: int
    seconds: float
    callers: Sequence[int]
    tools: Sequence[int]
    servers: Sequence[int]
    replicas: Sequence[int]
    calls: int
    kinds: Sequence[str]
    trace: bool
    rows: Sequence[str] = ()
    eras: Sequence[str] = ()
    baseline: Path | None = None
    machine: Json = field(default_factory=dict)

    def chosen(self) -> Iterator[tuple[Peer, str]]:
        """Yield each peer with each way of reaching it that it has; `direct` and `raw` are beside all others anyway."""
        for peer in self.peers:
            for pair in self.pairs:
                if pair in peer.pairs:
                    yield peer, pair

    def record(self, scenario: str, peer: Peer, pair: str, **measured: Any) -> None:
        """Keep what was measured; it takes the place of what an earlier run kept for the same."""
        row = {"scenario": scenario, "peer": peer.name, "about": peer.described(), "pair": pair, **measured}
        row |= {"machine": self.machine, "at": time.strftime("%Y-%m-%d %H:%M:%S")}
        with records_file(scenario).open("a") as file:
            file.write(json.dumps(row) + "\n")

    def measure(self, scenario: str, peer: Peer, pair: str, deed: Callable[[], None], **key: Any) -> None:
        """Do one measurement, after forgetting the last one of the same; a failure is a record, too."""
        forget(scenario, {"peer": peer.name, "pair": pair, **key})
        try:
            deed()
        except KeyboardInterrupt:
            raise
        except Unavailable as error:
            self._failed(scenario, peer, pair, f"cannot be installed: {error}", key)
        except Exception as error:
            if not str(error):
                traceback.print_exc()
            self._failed(scenario, peer, pair, f"{type(error).__name__}: {error}", key)

    def _failed(self, scenario: str, peer: Peer, pair: str, why: str, key: Json) -> None:
        print(
            f"{scenario:7} {peer.name:24} {pair:12} {' '.join(map(str, key.values()))} FAILED {why[:300]}", flush=True
        )
        try:
            about = peer.described()
        except Unavailable:
            about = peer.about.replace("{version}", "")
        row = {"scenario": scenario, "peer": peer.name, "about": about, "pair": pair, **key, "failed": why[:800]}
        with records_file(scenario).open("a") as file:
            file.write(json.dumps({**row, "machine": self.machine, "at": time.strftime("%Y-%m-%d %H:%M:%S")}) + "\n")


def records_file(scenario: str) -> Path:
    """Return the file of a scenario's records: one JSON object in a line."""
    folder = cache_folder() / "records"
    folder.mkdir(exist_ok=True)
    return folder / f"{scenario}.jsonl"


def records(scenario: str) -> list[Json]:
    """Return what is kept of a scenario."""
    file = records_file(scenario)
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def forget(scenario: str, key: Json) -> None:
    """Drop the records of this key."""
    kept = [row for row in records(scenario) if any(row.get(name) != value for name, value in key.items())]
    records_file(scenario).write_text("".join(json.dumps(row) + "\n" for row in kept))


def yardstick(name: str, peer: Peer) -> Peer:
    """Return a yardstick that is measured by the same client as a peer."""
    found = copy(PEERS[name])
    found.era = peer.era  # type: ignore[misc]
    return found


def direct_pair(pair: str) -> str:
    """Return the pair of a client that needs no gateway."""
    return "http-http" if pair.startswith("http") else "stdio-stdio"


def say(scenario: str, peer: Peer, pair: str, *words: str) -> None:
    """Print a line while a run goes on."""
    print(f"{scenario:7} {peer.name:24} {pair:12} {' '.join(words)}", flush=True)


def median(values: Sequence[float | None]) -> float | None:
    """Return the middle one of those values that there are."""
    there = sorted(value for value in values if value is not None)
    if not there:
        return None
    middle = len(there) // 2
    return there[middle] if len(there) % 2 else (there[middle - 1] + there[middle]) / 2


@contextmanager
def clock() -> Iterator[Callable[[], float]]:
    """Give a function that says how many milliseconds have passed."""
    began = time.perf_counter()
    yield lambda: (time.perf_counter() - began) * 1e3


def progress(text: str) -> None:
    """Say on standard error what takes long."""
    print(text, file=sys.stderr, flush=True)
