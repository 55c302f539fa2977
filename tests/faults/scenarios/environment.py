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

from ...e2e.support.gateways import GATEWAY, WAIT_SECONDS, Launcher, Process, free_port
from ..support.clients import BackgroundCaller, HttpCaller, call_echo, wait_until_right
from ..support.matrix import RIGHT, Row
from .servers import FAULTY, Outcome, child_entry

RIGGED = str(Path(__file__).parents[1] / "programs" / "rigged")


def faulty_http(launcher: Launcher, folder: Path) -> str:
    """Start faulty servers over HTTP; return their URL without the name."""
    process = launcher.start([sys.executable, "-S", FAULTY, "http", str(folder)], dict(os.environ))
    assert process.popen.stdout is not None
    return f"http://127.0.0.1:{process.popen.stdout.readline().strip()}"


@contextmanager
def background_calls(caller: HttpCaller) -> Iterator[BackgroundCaller]:
    """Call another server from now until a call that begins after the end is answered."""
    with BackgroundCaller(lambda: call_echo(caller, "bystander")) as background:
        background.calls_again()
        yield background
        background.calls_again()


def finds(caller: HttpCaller, query: str, wanted: str) -> str:
    """Search for a tool; return the right answer, or what was found instead."""
    found = caller.call("tool_search", {"query": query})["result"]["structuredContent"]
    names = [tool["tool_name"] for tool in found.get("tools", ())]
    return RIGHT if wanted in names else f"found {names}, and was told {found.get('servers', found)}"


@dataclass(frozen=True)
class Setup:
    """Where the rows are run."""

    launcher: Launcher
    folder: Path
    gateway: Process
    caller: HttpCaller


def run_environment_faults(launcher: Launcher, rows: tuple[Row, ...]) -> dict[str, Outcome]:
    """Run all rows, one after the other."""
    folder = launcher.folder / "faults"
    folder.mkdir()
    root = faulty_http(launcher, folder)
    servers = [
        child_entry(folder, "bystander"),
        {"name": "clock", "url": f"{root}/clock"},
        {"name": "dns", "url": f"http://server.faulty.test:{urlsplit(root).port}/dns"},
    ]
    (folder / "dns").touch()
    rigged = {"PYTHONPATH": RIGGED, "FAULTS": str(folder), "MCP_GATEWAY_TOOL_CACHE_TTL": "1"}
    gateway = launcher.start_http(launcher.config(*servers), **rigged)
    setup = Setup(launcher, folder, gateway, HttpCaller(gateway.url))
    return {row.key: SCENARIOS[row.key](setup, row) for row in rows}


def clock(setup: Setup, row: Row) -> Outcome:
    """Move the clock; then a new tool of a server must still be found when its definitions are old."""
    folder, caller = setup.folder, setup.caller
    assert (ready := wait_until_right(lambda: call_echo(caller, "clock"), WAIT_SECONDS)) == RIGHT, ready
    tool = "later" if "+" in row.key else "earlier"
    with background_calls(caller) as background:
        (folder / "clock-offset").write_text(row.key.split()[-1], encoding="utf-8")
        found = call_echo(caller, "clock")
        (folder / "clock-tool").write_text(tool, encoding="utf-8")
        at_last = wait_until_right(lambda: finds(caller, tool, f"clock__{tool}"), row.healthy)
    (folder / "clock-offset").unlink()
    return Outcome(found, tuple(background.seen), at_last)


def dns(setup: Setup, row: Row) -> Outcome:
    caller = setup.caller
    with background_calls(caller) as background:
        found = call_echo(caller, "dns")
        background.calls_again()
        (setup.folder / "dns").unlink()
        at_last = wait_until_right(lambda: call_echo(caller, "dns"), row.healthy)
    return Outcome(found, tuple(background.seen), at_last)


def full_disk(setup: Setup, row: Row) -> Outcome:
    """Give a gateway a standard error that is always full, and have it log all that it can."""
    launcher, folder = setup.launcher, setup.folder
    port = free_port()
    servers = launcher.config(child_entry(folder, "bystander"), child_entry(folder, "logged"))
    where = {"GATEWAY_TRANSPORT": "http", "GATEWAY_PORT": str(port), "GATEWAY_HOST": "127.0.0.1"}
    environment = launcher.environment(servers, **where, GATEWAY_LOG_LEVEL="DEBUG")
    launcher.start(["/bin/sh", "-c", f"exec {GATEWAY} 2>/dev/full"], environment)
    caller = HttpCaller(f"http://127.0.0.1:{port}/mcp")
    assert (ready := wait_until_right(lambda: call_echo(caller, "bystander"), WAIT_SECONDS)) == RIGHT, ready
    with background_calls(caller) as background:
        found = call_echo(caller, "logged")
        at_last = wait_until_right(lambda: call_echo(caller, "logged"), row.healthy)
    return Outcome(found, tuple(background.seen), at_last)


def garbage(setup: Setup, row: Row) -> Outcome:
    """Replace the server file while the gateway runs; put it back with one server more, which must then answer."""
    file, caller = setup.launcher.folder / "servers.json", setup.caller
    good = json.loads(file.read_bytes())
    with background_calls(caller) as background:
        file.write_bytes(b'\x00\xff{"servers": [' * 1000)
        setup.gateway.wait_for("configuration reload failed")
        found = call_echo(caller, "clock")
        background.calls_again()
        good["servers"].append(child_entry(setup.folder, "added"))
        file.write_text(json.dumps(good), encoding="utf-8")
        at_last = wait_until_right(lambda: call_echo(caller, "added"), row.healthy)
    return Outcome(found, tuple(background.seen), at_last)


SCENARIOS: dict[str, Callable[[Setup, Row], Outcome]] = {
    "clock +86400": clock,
    "clock -86400": clock,
    "dns": dns,
    "garbage file": garbage,
    "full disk": full_disk,
}
