"""Names: how a server's tool is called in the gateway, and what is near a name that does not exist."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

SEPARATOR = "__"

_SERVER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(_[A-Za-z0-9.-]+)*")
_FOREIGN = re.compile(r"[^A-Za-z0-9._-]+")


def full_name(server: str, tool: str) -> str:
    """Join a server's name and its tool's name: `server__tool`."""
    return f"{server}{SEPARATOR}{tool}"


def split_name(name: str) -> tuple[str, str] | None:
    """Split at the first separator; server names hold none, tool names may. None if it is no full name."""
    server, found, tool = name.partition(SEPARATOR)
    return (server, tool) if server and found and tool else None


def is_server_name(name: str) -> bool:
    """Whether `name` is letters, digits, `.`, `-` and single `_`, so that `server__tool` splits one way only."""
    return _SERVER_NAME.fullmatch(name) is not None


def tamed(name: str) -> str:
    """Turn a name from another program's configuration into a server name: `My Server!` into `My-Server`."""
    plain = _FOREIGN.sub("-", name)
    return re.sub(r"_{2,}", "_", plain).strip("-_.") or "server"


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Return up to `count` of the `known` names that look like `name`, nearest first."""
    by_folded = {candidate.lower(): candidate for candidate in known}
    return [by_folded[near] for near in get_close_matches(name.lower(), by_folded, n=count, cutoff=0.5)]
