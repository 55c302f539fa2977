"""Processes of the system: who has started them, and whose they are."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import NamedTuple

TAG = "_MCP_GATEWAY_SERVER"
"""The environment variable that tells whose a process is that has lost both its parent and its session."""


class Process(NamedTuple):
    """A running process of the system."""

    parent: int
    group: int
    session: int


def read_processes() -> dict[int, Process] | None:
    """Return the running processes by id; None where there is no /proc.

    Zombies are left out: they wait for their parents only.
    """
    try:
        names = [name for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208  # pathlib is slow to import
    except OSError:
        return None
    found = {}
    for name in names:
        with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123  # as above
            # The name of the program, in parentheses, may hold anything.
            state, parent, group, session = file.read().rpartition(b")")[2].split()[:4]
            if state not in b"ZX":
                found[int(name)] = Process(int(parent), int(group), int(session))
    return found or None


def find_ancestor(pid: int, below: int, processes: dict[int, Process]) -> int | None:
    """Return the ancestor of a process below another; or None."""
    for _ in range(len(processes)):
        process = processes.get(pid)
        if process is None:
            return None
        if process.parent == below:
            return pid
        pid = process.parent
    return None


def has_group(group: int) -> bool:
    """Whether a process group has a process that can be signalled."""
    try:
        os.killpg(group, 0)
    except OSError:
        return False
    return group > 0


def read_tag(pid: int) -> str | None:
    """Return the tag of the server whose environment a process has."""
    prefix = f"{TAG}=".encode()
    with suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123  # pathlib is slow to import
        for variable in file.read().split(b"\0"):
            if variable.startswith(prefix):
                return variable[len(prefix) :].decode("ascii", "replace")
    return None
