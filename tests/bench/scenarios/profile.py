"""Where the CPU time of a call goes: samples of the gateway's process while it is busy, by what it was at."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from ..bench import Bench, say
from ..environments import PythonEnvironment, Unavailable
from ..measurement import Stage
from ..peers import Peer

CALLERS = 32
RATE = 500
KIBIBYTE = 1024

PARTS = {
    "sending to sockets and pipes: the kernel's work, and waking who reads": (
        "transport_http/http1/write_batch.py",
        "transport_stdio/child/process.py",
        "transport_stdio/server_io.py",
    ),
    "the event loop: waiting, receiving, running what is ready (uvloop, asyncio)": ("uvloop/", "asyncio/", "anyio/"),
    "HTTP towards clients: parsing requests, the gate, heads of answers (uvicorn, httptools)": (
        "uvicorn/",
        "transport_http/server/message_protocol.py",
        "transport_http/http1/",
        "transport_http/auth/",
    ),
    "HTTP and stdio towards servers: requests, parsing responses, timeouts": (
        "transport_http/",
        "transport_sse/",
        "transport_stdio/",
    ),
    "choosing the path, reading and writing JSON-RPC, the eras' envelopes (msgspec)": ("mcp_gateway/server/",),
    "whose session: credentials, sharing, breaker, bounds, sending": ("mcp_gateway/",),
}
"""By the file of the innermost Python function; the first that fits. What C functions do counts for their callers."""

ELSE = "everything else"


def profile(bench: Bench) -> None:
    """Take samples of this gateway; only it is Python that can be looked into so."""
    for peer, pair in bench.chosen():
        if peer.name in ("gateway", "gateway-modern") and pair.startswith("http"):
            _measure(bench, peer, pair)


def _measure(bench: Bench, peer: Peer, pair: str) -> None:
    def deed() -> None:
        spy = PythonEnvironment("profiler", ("py-spy>=0.4",)).program("py-spy")
        with Stage(peer, pair) as stage, TemporaryDirectory() as folder:
            seconds = max(2.0, bench.seconds)
            alone = stage.measure(CALLERS, seconds=seconds, size=KIBIBYTE)  # sampling costs some itself
            written = Path(folder) / "samples"
            assert stage.process is not None
            command = [spy, "record", "--pid", str(stage.process.pid), "--rate", str(RATE), "--format", "raw"]
            command += ["--duration", str(round(seconds)), "--output", str(written)]
            watching = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            stage.measure(CALLERS, seconds=seconds + 1, size=KIBIBYTE)
            _, said = watching.communicate(timeout=60)
            if watching.returncode:
                raise Unavailable(f"py-spy failed (it needs root): {said[-200:]}")
            shares = _shares(written.read_text())
        bench.record("profile", peer, pair, cpu_ms_per_call=alone["cpu_ms_per_call"], shares=shares)
        say("profile", peer, pair, f"{alone['cpu_ms_per_call']:.4f} ms", *(f"{s:.0%}" for s in shares.values()))

    bench.measure("profile", peer, pair, deed)


def _shares(samples: str) -> dict[str, float]:
    """Return the share of each part; `samples` are lines of functions, outermost first, and a count."""
    counts: Counter[str] = Counter()
    for line in samples.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        if "_bootstrap" not in stack:  # threads that wait for work
            counts[_part(frames[-1])] += int(count)
    whole = sum(counts.values()) or 1
    return {part: counts[part] / whole for part in (*PARTS, ELSE)}


def _part(frame: str) -> str:
    return next((part for part, files in PARTS.items() if any(file in frame for file in files)), ELSE)
