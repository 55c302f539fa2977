"""Entries of servers, in the forms that programs want them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Launch:
    """A command that starts the gateway, with its variables."""

    command: str
    arguments: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=dict)


WriteEntryFn = Callable[[str, Launch], dict[str, Any]]
"""Makes an entry from its name and a command."""


def write_plain(_: str, launch: Launch) -> dict[str, Any]:
    """Return the form that most programs share."""
    entry: dict[str, Any] = {"command": launch.command, "args": list(launch.arguments)}
    return entry | ({"env": dict(launch.environ)} if launch.environ else {})


def write_typed(name: str, launch: Launch) -> dict[str, Any]:
    """Return the form that says how the server is reached."""
    return {"type": "stdio", **write_plain(name, launch)}


def write_named(name: str, launch: Launch) -> dict[str, Any]:
    """Return the form of a list's item, with the name."""
    return {"name": name, **write_plain(name, launch)}


def write_copilot(name: str, launch: Launch) -> dict[str, Any]:
    """Return the form of Copilot CLI, with a list of tools."""
    return {"type": "local", **write_plain(name, launch), "tools": ["*"]}


def write_goose(name: str, launch: Launch) -> dict[str, Any]:
    """Return the form of Goose."""
    return {
        "enabled": True,
        "type": "stdio",
        "name": name,
        "description": "All MCP servers, behind one gateway",
        "cmd": launch.command,
        "args": list(launch.arguments),
        "envs": dict(launch.environ),
        "timeout": 300,
    }


def write_opencode(_: str, launch: Launch) -> dict[str, Any]:
    """Return the form of opencode."""
    entry: dict[str, Any] = {"type": "local", "command": [launch.command, *launch.arguments], "enabled": True}
    return entry | ({"environment": dict(launch.environ)} if launch.environ else {})
