"""Parsing of the command line, dispatch and exit codes.

An error becomes one line on standard error and an exit code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from mcp_gateway.control.commands import find_function
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.report import prepare_streams, run_and_report
from mcp_gateway.control.terminal import find_width, is_at_terminal, show_text
from mcp_gateway.runtime.lazy_imports import defer_sdk_imports
from mcp_gateway_cli.all_commands import BUILT_IN, collect_all_commands, explain_unknown
from mcp_gateway_cli.command_line import read_command_line, wants_json
from mcp_gateway_cli.output.overview import describe_program
from mcp_gateway_cli.parser import build_parser, parse_arguments
from mcp_gateway_cli.variable_options import name_typed_options, read_overrides
from mcp_gateway_cli.verbs import SERVE


def run_words(words: Sequence[str]) -> int:
    """Run one command; return the exit code."""
    prepare_streams()
    if "_ARGCOMPLETE" in os.environ:
        from mcp_gateway_cli.completion.answers import complete_words

        complete_words(collect_all_commands().commands.values())
    try:
        return run_and_report(lambda: _run(words), as_json=wants_json(words))
    except SystemExit as end:  # of --help and --version
        return end.code if isinstance(end.code, int) else 0


def _run(words: Sequence[str]) -> int:
    """Parse and run a command.

    Modules are imported on demand, because several commands do not need the MCP SDK, which is slow to import.
    """
    line = read_command_line(words, BUILT_IN.values())
    if line.wants_help:
        build_parser(collect_all_commands().commands.values()).parse_args(list(line.arguments))
    commands = BUILT_IN if line.verb in BUILT_IN or not line.verb else collect_all_commands().commands
    command = commands.get(line.verb) if line.verb else SERVE
    if command is None:
        parse_arguments(SERVE, line.strange[:1], is_typed=False)  # its value may have been taken for a verb
        raise explain_unknown(line.verb, commands)
    options = parse_arguments(command, line.arguments, is_typed=bool(line.verb))
    if command.needs_sdk or getattr(options, "connect", False):
        defer_sdk_imports()
    overrides = read_overrides(command, options)
    context = ControlContext(overrides, is_serving=command is SERVE)
    if line.verb not in BUILT_IN:
        context.configure_quiet_logging()
    if not line.verb and is_at_terminal() and context.environment.server_transport == "stdio":
        show_text(describe_program())
        return 0
    if find_width(sys.stderr) is not None:  # a person reads notes
        from mcp_gateway_cli.commands.working_directory import settle_folder_file

        settle_folder_file(context, command, options)
    with name_typed_options(overrides):
        return find_function(command)(context, options)
