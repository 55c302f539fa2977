"""Reference servers to reach: over HTTP as a process that runs already, over stdio as a command."""

from __future__ import annotations

import sys
from pathlib import Path

from ...e2e.support.gateways import Json, Launcher
from .suite import HANDSHAKE, MODERN

PROGRAM = str(Path(__file__).parents[1] / "programs" / "reference.py")
ERAS = {HANDSHAKE: "handshake", MODERN: "modern"}


def start_reference_server(launcher: Launcher, *arguments: str) -> str:
    """Start the reference server over HTTP; return its URL."""
    process = launcher.start([sys.executable, PROGRAM, "http", *arguments], launcher.environment(Path("none")))
    assert process.popen.stdout is not None
    port = process.popen.stdout.readline().strip()
    assert port, process.errors.seen
    return f"http://127.0.0.1:{port}/mcp"


def entry_of(launcher: Launcher, revision: str, transport: str) -> Json:
    """Return how the gateway is to reach a server of one era only."""
    era = ("--era", ERAS[revision])
    if transport == "http":
        return {"url": start_reference_server(launcher, *era)}
    return {"command": sys.executable, "args": [PROGRAM, "stdio", *era]}
