"""The commands of the core and of all plugins."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import cast

from mcp_gateway.plugin import Argument, Command, PluginError
from mcp_gateway.plugin.commands.command import RunFn
from mcp_gateway.plugin_host.loader import Fault, LoadedPlugins, Origin

_VERB = re.compile(r"[a-z][a-z0-9-]{0,30}")

CORE_COMMANDS = (
    Command(
        name="pins",
        summary="list the tools whose definitions have changed or look suspicious",
        run="mcp_gateway.control.pins:show_pins",
        has_json=True,
        examples=("pins", "pins --json"),
    ),
    Command(
        name="approve",
        summary="approve changed tool definitions",
        run="mcp_gateway.control.pins:approve",
        arguments=(
            Argument(names=("server",), help="the server's name", metavar="SERVER", values="servers"),
            Argument(
                names=("tool",),
                help="the tool's own name; without it, all of the server's",
                metavar="TOOL",
                is_optional=True,
            ),
        ),
        has_json=True,
        examples=("approve github", "approve github create_issue"),
    ),
)
"""Those of the core: pinning is no plugin."""


@dataclass(frozen=True, slots=True)
class Commands:
    """All commands by name, with their origins.

    `faults` are those of plugins whose commands cannot be used.
    """

    commands: Mapping[str, Command]
    origins: Mapping[str, Origin] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()


def collect_commands(loaded: LoadedPlugins, first: Sequence[Command] = ()) -> Commands:
    """Call the hook of commands once, for each plugin separately.

    The commands `first` and those of the core are there whatever plugins are admitted.

    A plugin whose commands cannot be used is recorded as a fault, and so is one that claims another's verb: what is
    there first keeps it, and the core comes first.
    """
    commands = {command.name: command for command in (*first, *CORE_COMMANDS)}
    origins: dict[str, Origin] = {}
    faults: list[Fault] = []
    for implementation in loaded.manager.hook.mcp_gateway_commands.get_hookimpls():
        origin = loaded.origins[implementation.plugin_name]
        try:
            offered = [
                command for command in cast("Iterable[Command]", implementation.function()) if command not in first
            ]
            for command in offered:
                _check(command, commands, origins)
        except Exception as error:  # noqa: BLE001  # a border with foreign code: the fault is recorded, and shown
            faults.append(Fault(origin, error))
            continue
        commands.update({command.name: command for command in offered})
        origins.update({command.name: origin for command in offered})
    return Commands(commands, origins, tuple(faults))


def find_function(command: Command) -> RunFn:
    """Return the function that runs a command.

    Raises:
        PluginError: its place leads nowhere.

    """
    if not isinstance(command.run, str):
        return command.run
    module, _, name = command.run.partition(":")
    try:
        found: RunFn = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise PluginError(f"the command {command.name!r} cannot be run: {command.run}: {error}") from error
    return found


def _check(command: object, commands: Mapping[str, Command], origins: Mapping[str, Origin]) -> None:
    if not isinstance(command, Command):
        raise PluginError(f"its hook must yield Command objects, not {type(command).__name__}")
    if not _VERB.fullmatch(command.name):
        raise PluginError(f"{command.name!r} is no verb: lower-case letters, digits and hyphens, at most 31")
    if command.name in commands:
        owner = origins.get(command.name, "the core")
        raise PluginError(f"the command {command.name!r} is that of {owner} already")
