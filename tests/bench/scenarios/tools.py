"""Many tools: what they cost in memory, to list, to search and to call; and what a gateway costs that does nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from ..bench import Bench, clock, median, say
from ..clients import Client, StdioClient
from ..measurement import Stage
from ..peers import Peer
from ..processes import cpu_between, cpu_seconds, gateway_family, memory

QUERIES = (
    "create an invoice for a customer",
    "restore a database table from the archive",
    "approve pull request",
    "translation of a document",
    "sync calendar events in batch mode",
    "delete old backup",
    "assign ticket",
    "weather report export",
)
ENOUGH = 20_000
"""Milliseconds after which a slow deed is not repeated."""


def tools(bench: Bench) -> None:
    """Memory, lists and calls with few and with many tools behind the gateway."""
    for peer, pair in bench.chosen():
        if peer.name not in {"direct", "raw"}:
            for count in bench.tools:
                bench.measure("tools", peer, pair, lambda p=peer, w=pair, n=count: measure(bench, p, w, n), tools=count)


def measure(bench: Bench, peer: Peer, pair: str, count: int) -> None:
    peer.version()
    share = max(1, count // (2 if peer.aggregates else 1))
    with Stage(peer, pair, tools=share, patience=240) as stage:
        client = stage.client()
        try:
            client.greet()
            until_found(peer, client)
            pid = client.process.pid if isinstance(client, StdioClient) else stage.process.pid if stage.process else 0
            at_first = memory(pid) if pid else {}
            listing, listed = repeated(client.tools, 5)
            searching = search(peer, client)
            measured = {
                "tools": count,
                "listed": len(listed),
                "list_bytes": len(json.dumps(listed)),
                "list_ms": round(median(listing) or 0, 3),
                "search_ms": round(median(searching) or 0, 3) if searching else None,
                "search_max_ms": round(max(searching), 3) if searching else None,
                "memory_at_first": at_first,
                "memory": memory(pid) if pid else {},
            }
        finally:
            client.close()
        called = stage.measure(1, seconds=bench.seconds, size=1024)
    bench.record("tools", peer, pair, **measured, called=called)
    shown = {name: value for name, value in measured.items() if name not in {"tools", "memory_at_first"}}
    say("tools", peer, pair, f"{count:6}", f"CPU of a call {called.get('cpu_ms_per_call')} ms", json.dumps(shown))


def until_found(peer: Peer, client: Client) -> None:
    """Wait until the last server's tools are there, in a gateway that was just started."""
    until = time.monotonic() + 240
    while peer.missing(client, [("d2" if peer.aggregates else "d1", "echo")]) and time.monotonic() < until:
        time.sleep(0.05)


def repeated(deed: Callable[[], Any], times: int) -> tuple[list[float], Any]:
    """Do it a number of times, not too long in all; return the milliseconds of each, and what came of the last."""
    took: list[float] = []
    result = None
    while len(took) < times and sum(took) < ENOUGH:
        with clock() as passed:
            result = deed()
            took.append(passed())
    return took, result


def search(peer: Peer, client: Client) -> list[float]:
    """Search for different things; return the milliseconds of each search."""
    took: list[float] = []
    for query in QUERIES:
        call = peer.search(query)
        if call is None or sum(took) > ENOUGH:
            break
        took += repeated(lambda call=call: client.call(*call), 5)[0]  # type: ignore[misc]
    return took


def idle(bench: Bench) -> None:
    """CPU and memory of a gateway that has nothing to do."""
    for peer, pair in bench.chosen():
        if pair.startswith("http") and peer.name != "direct":
            bench.measure("idle", peer, pair, lambda p=peer, w=pair: rest(bench, p, w))


def rest(bench: Bench, peer: Peer, pair: str) -> None:
    peer.version()
    with Stage(peer, pair) as stage:
        assert stage.process is not None
        pid = stage.process.pid
        time.sleep(2)
        before = cpu_seconds(pid)
        time.sleep(10)
        percent = round(cpu_between(before, cpu_seconds(pid)) * 10, 3)
        measured = {"cpu_percent": percent, "memory": memory(pid), "processes": len(gateway_family(pid))}
    bench.record("idle", peer, pair, **measured)
    say("idle", peer, pair, json.dumps(measured))
