"""Entry point: command-line parsing, dispatch and exit codes.

An error becomes one line on standard error and an exit code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from mcp_gateway.config.settings import plugin_choice
from mcp_gateway.control.commands import CORE_COMMANDS, Commands, collect_commands, find_function
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.report import prepare_streams, run_and_report
from mcp_gateway.control.terminal import complain
from mcp_gateway.plugin import GatewayError
from mcp_gateway.plugin_host.loader import load_plugins
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway.runtime.lazy_imports import defer_sdk_imports
from mcp_gateway_cli.parser import build_parser
from mcp_gateway_cli.verbs import SERVE, VERBS

_OPTIONS = {
    "config": "SERVER_CONFIG_PATH",
    "transport": "GATEWAY_TRANSPORT",
    "host": "GATEWAY_HOST",
    "port": "GATEWAY_PORT",
}
"""The options that set a variable of the environment."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    prepare_streams()
    arguments = sys.argv[1:] if argv is None else list(argv)
    return run_and_report(lambda: _run(arguments))


def _run(arguments: Sequence[str]) -> int:
    """Parse and run a command.

    Modules are imported on demand, because several commands do not need the MCP SDK, which is slow to import.
    """
    found = _collect(arguments)
    options = build_parser(found.commands.values()).parse_args(arguments)
    command = found.commands[options.command] if options.command else SERVE
    if command.needs_sdk or getattr(options, "connect", False):
        defer_sdk_imports()
    given = {name: getattr(options, option, None) for option, name in _OPTIONS.items()}
    overrides = {name: str(value) for name, value in given.items() if value is not None}
    return find_function(command)(ControlContext(overrides, is_serving=command is SERVE), options)


def _collect(arguments: Sequence[str]) -> Commands:
    """Return the commands.

    Plugins are loaded only if the verb may be one of theirs.
    """
    verb = next((argument for argument in arguments if not argument.startswith("-")), None)
    built_in = {command.name: command for command in (*VERBS, *CORE_COMMANDS)}
    if verb in built_in or not arguments:
        return Commands(built_in)
    try:
        found = collect_commands(load_plugins(plugin_choice(os.environ)), VERBS)
    except GatewayError:  # the command that runs says it
        return Commands(built_in)
    for fault in found.faults:
        complain(f"{NAME}: {fault}")
    return found
