"""Parsing of the command line, dispatch and exit codes.

An error becomes one line on standard error and an exit code.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from mcp_gateway.config.settings import plugin_choice
from mcp_gateway.control.commands import CORE_COMMANDS, Commands, collect_commands, find_function
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.report import prepare_streams, run_and_report
from mcp_gateway.control.terminal import complain
from mcp_gateway.plugin import GatewayError, UsageError
from mcp_gateway.plugin_host.loader import load_plugins
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway.runtime.lazy_imports import defer_sdk_imports
from mcp_gateway_cli.command_line import read_command_line, wants_json
from mcp_gateway_cli.parser import build_parser, parse_arguments, suggest
from mcp_gateway_cli.variable_options import name_typed_options, read_overrides
from mcp_gateway_cli.verbs import SERVE, VERBS

_OF_PLUGINS = {
    **dict.fromkeys(("login", "logout"), "the plugin mcp-gateway-auth-oauth"),
    "secret": "the plugin mcp-gateway-variables-keyring",
}
"""Verbs that people may know, and which plugin of this project brings them."""


def run_words(words: Sequence[str]) -> int:
    """Run one command; return the exit code."""
    prepare_streams()
    if "_ARGCOMPLETE" in os.environ:
        from mcp_gateway_cli.completion import complete_words

        complete_words(build_parser(_collect_all().commands.values()))
    try:
        return run_and_report(lambda: _run(words), as_json=wants_json(words))
    except SystemExit as end:  # of --help and --version
        return end.code if isinstance(end.code, int) else 0


def _run(words: Sequence[str]) -> int:
    """Parse and run a command.

    Modules are imported on demand, because several commands do not need the MCP SDK, which is slow to import.
    """
    built_in = {command.name: command for command in (*VERBS, *CORE_COMMANDS)}
    line = read_command_line(words, built_in.values())
    if line.wants_help:
        build_parser(_collect_all().commands.values()).parse_args(list(line.arguments))
    commands = built_in if line.verb in built_in or not line.verb else dict(_collect_all().commands)
    command = commands.get(line.verb) if line.verb else SERVE
    if command is None:
        owner = _OF_PLUGINS.get(line.verb)
        hint = f"; {owner} brings it, which is not here" if owner else suggest(line.verb, commands)
        raise UsageError(f"{NAME}: there is no command {line.verb!r}{hint} (see {NAME} --help)")
    options = parse_arguments(command, line.arguments)
    if command.needs_sdk or getattr(options, "connect", False):
        defer_sdk_imports()
    overrides = read_overrides(command, options)
    context = ControlContext(overrides, is_serving=command is SERVE)
    if line.verb not in built_in:
        context.configure_quiet_logging()
    with name_typed_options(overrides):
        return find_function(command)(context, options)


def _collect_all() -> Commands:
    """Return the commands of all plugins, which are loaded for it."""
    try:
        found = collect_commands(load_plugins(plugin_choice(os.environ)), VERBS)
    except GatewayError:  # the command that runs says it
        return Commands({command.name: command for command in (*VERBS, *CORE_COMMANDS)})
    for fault in found.faults:
        complain(f"{NAME}: {fault}")
    return found
