"""Faults of what is around a gateway: the clock, names that have no address, the disk for logs, the server file."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ...e2e.support.gateways import GATEWAY, PATIENCE, Process, Workshop, free_port
from ..support.clients import Bystander, HttpCaller, seen, until_right
from ..support.matrix import RIGHT, Row
from .servers import FAULTY, Outcome, child_entry

RIGGED = str(Path(__file__).parents[1] / "programs" / "rigged")


def faulty_http(workshop: Workshop, folder: Path) -> str:
    """Start faulty servers over HTTP; return their URL without the name."""
    process = workshop.start([sys.executable, "-S", FAULTY, "http", str(folder)], dict(os.environ))
    assert process.popen.stdout is not None
    return f"http://127.0.0.1:{process.popen.stdout.readline().strip()}"


@contextmanager
def watched(caller: HttpCaller) -> Iterator[Bystander]:
    """Have somebody call another server from now until a call that begins after the end is answered."""
    with Bystander(lambda: seen(caller, "bystander")) as bystander:
        bystander.calls_again()
        yield bystander
        bystander.calls_again()


def finds(caller: HttpCaller, query: str, wanted: str) -> str:
    """Search for a tool; return the right answer, or what was found instead."""
    found = caller.call("tool_search", {"query": query})["result"]["structuredContent"]
    names = [tool["tool_name"] for tool in found.get("tools", ())]
    return RIGHT if wanted in names else f"found {names}, and was told {found.get('servers', found)}"


@dataclass(frozen=True)
class Place:
    """Where the rows are played."""

    workshop: Workshop
    folder: Path
    gateway: Process
    caller: HttpCaller


def play_around(workshop: Workshop, rows: tuple[Row, ...]) -> dict[str, Outcome]:
    """Play all rows, one after the other."""
    folder = workshop.folder / "faults"
    folder.mkdir()
    root = faulty_http(workshop, folder)
    servers = [
        child_entry(folder, "bystander"),
        {"name": "clock", "url": f"{root}/clock"},
        {"name": "dns", "url": f"http://server.faulty.test:{urlsplit(root).port}/dns"},
    ]
    (folder / "dns").touch()
    rigged = {"PYTHONPATH": RIGGED, "FAULTS": str(folder), "MCP_GATEWAY_TOOL_CACHE_TTL": "1"}
    gateway = workshop.listening(workshop.config(*servers), **rigged)
    place = Place(workshop, folder, gateway, HttpCaller(gateway.url))
    return {row.key: PLAYS[row.key](place, row) for row in rows}


def clock(place: Place, row: Row) -> Outcome:
    """Move the clock; then a new tool of a server must still be found when its definitions are old."""
    folder, caller = place.folder, place.caller
    assert (ready := until_right(lambda: seen(caller, "clock"), PATIENCE)) == RIGHT, ready
    tool = "later" if "+" in row.key else "earlier"
    with watched(caller) as bystander:
        (folder / "clock-offset").write_text(row.key.split()[-1], encoding="utf-8")
        found = seen(caller, "clock")
        (folder / "clock-tool").write_text(tool, encoding="utf-8")
        at_last = until_right(lambda: finds(caller, tool, f"clock__{tool}"), row.healthy)
    (folder / "clock-offset").unlink()
    return Outcome(found, tuple(bystander.seen), at_last)


def dns(place: Place, row: Row) -> Outcome:
    caller = place.caller
    with watched(caller) as bystander:
        found = seen(caller, "dns")
        bystander.calls_again()
        (place.folder / "dns").unlink()
        at_last = until_right(lambda: seen(caller, "dns"), row.healthy)
    return Outcome(found, tuple(bystander.seen), at_last)


def full_disk(place: Place, row: Row) -> Outcome:
    """Give a gateway a standard error that is always full, and have it log all that it can."""
    workshop, folder = place.workshop, place.folder
    port = free_port()
    servers = workshop.config(child_entry(folder, "bystander"), child_entry(folder, "logged"))
    where = {"GATEWAY_TRANSPORT": "http", "GATEWAY_PORT": str(port), "GATEWAY_HOST": "127.0.0.1"}
    environment = workshop.environment(servers, **where, GATEWAY_LOG_LEVEL="DEBUG")
    workshop.start(["/bin/sh", "-c", f"exec {GATEWAY} 2>/dev/full"], environment)
    caller = HttpCaller(f"http://127.0.0.1:{port}/mcp")
    assert (ready := until_right(lambda: seen(caller, "bystander"), PATIENCE)) == RIGHT, ready
    with watched(caller) as bystander:
        found = seen(caller, "logged")
        at_last = until_right(lambda: seen(caller, "logged"), row.healthy)
    return Outcome(found, tuple(bystander.seen), at_last)


def garbage(place: Place, row: Row) -> Outcome:
    """Replace the server file while the gateway runs; put it back with one server more, which must then answer."""
    file, caller = place.workshop.folder / "servers.json", place.caller
    good = json.loads(file.read_bytes())
    with watched(caller) as bystander:
        file.write_bytes(b'\x00\xff{"servers": [' * 1000)
        place.gateway.wait_for("configuration reload failed")
        found = seen(caller, "clock")
        bystander.calls_again()
        good["servers"].append(child_entry(place.folder, "added"))
        file.write_text(json.dumps(good), encoding="utf-8")
        at_last = until_right(lambda: seen(caller, "added"), row.healthy)
    return Outcome(found, tuple(bystander.seen), at_last)


PLAYS: dict[str, Callable[[Place, Row], Outcome]] = {
    "clock +86400": clock,
    "clock -86400": clock,
    "dns": dns,
    "garbage file": garbage,
    "full disk": full_disk,
}
