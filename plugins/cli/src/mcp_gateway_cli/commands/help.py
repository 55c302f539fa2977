"""`help`: show what all commands, or one of them, are for."""

from __future__ import annotations

from argparse import Namespace

from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.terminal import show_text
from mcp_gateway_cli.all_commands import collect_all_commands, explain_unknown
from mcp_gateway_cli.parser import build_command_parser, build_parser


def run(_context: ControlContext, arguments: Namespace) -> int:
    """Print the help, as `--help` does."""
    commands = collect_all_commands().commands
    if arguments.verb is None:
        parser = build_parser(commands.values())
    elif arguments.verb in commands:
        parser = build_command_parser(commands[arguments.verb])
    else:
        raise explain_unknown(arguments.verb, commands)
    show_text(parser.format_help().rstrip())
    return 0
