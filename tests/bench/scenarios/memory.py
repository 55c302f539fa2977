"""Does the gateway's memory grow, over thousands of calls: plain, with progress, cancelled, with questions?"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ..bench import Bench, say
from ..binaries import cache_folder
from ..conversations import KINDS, MIX, finish
from ..gateway_process import gateway_before
from ..measurement import wait_for_port
from ..peers import PEERS
from ..processes import Process, free_port, resident
from ..raw_clients import HttpTalker, StdioTalker, Talker

PROGRAMS = Path(__file__).parent.parent / "programs"
SERVER = str(PROGRAMS / "asking_server.py")
WARM_UP = 2000
STEP = 1000
WORKERS = 8
SESSION = 100
"""Calls after which a client of the handshake era over HTTP opens a new session."""
LIMIT = 50
"""Bytes for each call: more is growth."""


@dataclass(frozen=True)
class Line:
    """A straight line through what was measured: bytes per call, and how far off that may be (two standard errors)."""

    slope: float
    error: float

    @classmethod
    def through(cls, points: list[tuple[int, int]]) -> Line:
        """Fit by least squares."""
        n = len(points)
        x_mean, y_mean = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
        spread = sum((x - x_mean) ** 2 for x, _ in points)
        slope = sum((x - x_mean) * (y - y_mean) for x, y in points) / spread
        rest = sum((y - y_mean - slope * (x - x_mean)) ** 2 for x, y in points)
        return cls(slope, 2 * (rest / max(1, n - 2) / spread) ** 0.5)

    @property
    def verdict(self) -> str:
        """It grows if the slope is above the limit for sure; it does not if it is below for sure."""
        if self.slope + self.error < LIMIT:
            return "does not grow"
        return "GROWS" if self.slope - self.error > LIMIT else "cannot be told: use more --calls"


def memory(bench: Bench) -> None:
    """Measure over HTTP with clients of both eras, and over stdio with one of each."""
    for pair, eras in (("http", ("modern", "handshake")), ("stdio", ("modern",)), ("stdio", ("handshake",))):
        if any(chosen.startswith(pair) for chosen in bench.pairs):
            told = f"{pair} {'+'.join(eras)}"
            bench.measure(
                "memory", PEERS["gateway"], told, lambda p=pair, e=eras, t=told: asyncio.run(measure(bench, p, e, t))
            )
            if bench.trace and growth_file(pair).exists():
                print(growth_file(pair).read_text())


def growth_file(pair: str) -> Path:
    """Return where a traced gateway writes what has grown."""
    return cache_folder() / f"grown-{pair}.txt"


@asynccontextmanager
async def gateway(bench: Bench, pair: str) -> AsyncIterator[tuple[int, asyncio.subprocess.Process]]:
    """Start the gateway in front of four servers; give its port and its process."""
    processes, servers = [], []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for era in ("handshake", "modern"):
            port = free_port()
            processes.append(Process([sys.executable, SERVER, era, "--http", str(port)]))
            wait_for_port(port)
            servers.append({"name": f"{era}-http", "url": f"http://127.0.0.1:{port}/mcp"})
            command = {"command": sys.executable, "args": [SERVER, era, "--stdio"]}
            servers.append({"name": f"{era}-stdio", **command})
        traced = {"PYTHONPATH": str(PROGRAMS / "tracing"), "BENCH_TRACE": str(growth_file(pair))}
        try:
            async with gateway_before(servers, pair, Path(folder), traced if bench.trace else {}) as started:
                yield started
        finally:
            for each in processes:
                each.stop()


class Crowd:
    """Clients that share the work; each failure is counted with its reason.

    A server of the handshake era over stdio cannot say which call its question belongs to. So those clients that the
    gateway cannot tell apart, or that are one, call it one after the other.
    """

    def __init__(self, pair: str, eras: tuple[str, ...], port: int, process: asyncio.subprocess.Process) -> None:
        self._pair, self._eras, self._port, self._process = pair, eras, port, process
        self._talkers: list[Talker] = []
        self.done, self.wrong = Counter[str](), Counter[str]()
        self._number, self._turn = 0, asyncio.Lock()

    async def open(self, servers: tuple[str, ...]) -> None:
        """Open the clients; the first asks each server first, so that the gateway knows that it asks back."""
        if self._pair == "stdio":
            self._talkers = [StdioTalker(self._process, self._eras[0])]
            await self._talkers[0].greet()
        else:
            self._talkers = [await self._over_http(0)]
        for server in servers:
            await KINDS["asked"](self._talkers[0], server)
        if self._pair == "http":
            self._talkers += [await self._over_http(number) for number in range(1, WORKERS)]

    async def _converse(self, talker: Talker, kind: str, server: str) -> None:
        if server == "handshake-stdio" and (self._pair == "stdio" or talker.modern):
            async with self._turn:
                await KINDS[kind](talker, server)
        else:
            await KINDS[kind](talker, server)

    async def _over_http(self, number: int) -> Talker:
        talker = HttpTalker(self._port, self._eras[number % len(self._eras)])
        await talker.greet()
        return talker

    async def _work(self, worker: int, last: int, servers: tuple[str, ...], kinds: tuple[str, ...]) -> None:
        mine = 0
        while self._number < last:
            self._number += 1
            kind, server = kinds[self._number % len(kinds)], servers[self._number // len(kinds) % len(servers)]
            talker = self._talkers[worker % len(self._talkers)]
            try:
                await self._converse(talker, kind, server)
                self.done[kind] += 1
            except Exception as error:
                self.wrong[f"{kind} {server} {'modern' if talker.modern else 'handshake'}: {error!r}"[:300]] += 1
            mine += 1
            if mine % SESSION == 0 and self._pair == "http" and not talker.modern:
                await talker.close()
                self._talkers[worker] = await self._over_http(worker)

    async def work(self, calls: int, servers: tuple[str, ...], kinds: tuple[str, ...]) -> None:
        """Make so many calls."""
        last = self._number + calls
        await asyncio.gather(*(self._work(worker, last, servers, kinds) for worker in range(WORKERS)))

    async def counts(self, servers: tuple[str, ...]) -> dict[str, str]:
        """Ask each server how many calls were cancelled and how many still wait."""
        talker = self._talkers[0]
        return {server: await finish(talker, server, "counts") for server in servers}


async def measure(bench: Bench, pair: str, eras: tuple[str, ...], told: str) -> None:
    peer, servers = PEERS["gateway"], ("handshake-http", "handshake-stdio", "modern-http", "modern-stdio")
    async with gateway(bench, pair) as (port, process):
        crowd = Crowd(pair, eras, port, process)
        await crowd.open(servers)
        points: list[tuple[int, int]] = []
        began = time.monotonic()
        for number in range((WARM_UP + bench.calls) // STEP):
            await crowd.work(STEP, servers, bench.kinds or MIX)
            await asyncio.sleep(0.5)
            calls, held = (number + 1) * STEP, resident(process.pid)
            if calls >= WARM_UP:
                points.append((calls, held))
                if bench.trace:
                    os.kill(process.pid, signal.SIGUSR2)
                    await asyncio.sleep(5)
            say("memory", peer, told, f"{calls:6} calls  {held / 1048576:7.2f} MiB  {dict(crowd.wrong) or ''}")
        took, counts = time.monotonic() - began, await crowd.counts(servers)
    if bench.trace:
        return  # the tracing itself takes memory
    filling, line = Line.through(points), Line.through(points[len(points) // 2 :])
    bench.record(
        "memory",
        peer,
        told,
        points=points,
        filling=round(filling.slope, 1),
        bytes_per_call=round(line.slope, 1),
        plus_minus=round(line.error, 1),
        verdict=line.verdict,
        done=crowd.done,
        wrong=crowd.wrong,
        at_the_servers=counts,
    )
    slopes = f"{filling.slope:+.1f}, in the second half {line.slope:+.1f} ± {line.error:.1f}"
    say("memory", peer, told, f"bytes per call {slopes}: {line.verdict}; {took:.0f} s")
    say("memory", peer, told, f"{dict(crowd.done)} wrong: {dict(crowd.wrong)} at the servers: {counts}")
