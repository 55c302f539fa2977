"""The parser of the command line, made from the commands."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import Any

from mcp_gateway.plugin import Argument, Command
from mcp_gateway.protocol.implementation import NAME, VERSION

_EPILOG = """\
Without a command the gateway serves, over standard input and output unless GATEWAY_TRANSPORT says otherwise.
Exit codes: 0 all is well, 1 something is wrong (standard error says what), 2 the command line is wrong.
"""


def build_parser(commands: Iterable[Command]) -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog=NAME,
        description="One MCP endpoint in front of many MCP servers, with search over all of their tools.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{NAME} {VERSION}")
    _add_config(parser, default=None)
    verbs = parser.add_subparsers(dest="command", metavar="COMMAND")
    for command in commands:
        _add_command(verbs, command)
    return parser


def _add_config(parser: argparse.ArgumentParser, default: object) -> None:
    parser.add_argument("--config", metavar="FILE", default=default, help="the file of servers (SERVER_CONFIG_PATH)")


def _add_command(verbs: Any, command: Command) -> None:
    summary = command.summary
    parser: argparse.ArgumentParser = verbs.add_parser(
        command.name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog="\n".join(["examples:", *(f"  {NAME} {example}" for example in command.examples)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_config(parser, default=argparse.SUPPRESS)  # after the verb as well as before it
    if command.has_json:
        parser.add_argument("--json", action="store_true", help="print JSON")
    for argument in command.arguments:
        parser.add_argument(*argument.names, **_options(argument))


def _options(argument: Argument) -> dict[str, Any]:
    is_option = argument.names[0].startswith("-")
    options: dict[str, Any] = {"help": argument.help.replace("%", "%%"), "default": argument.default}
    if argument.is_flag:
        return {**options, "action": "store_true", "default": bool(argument.default)}
    options["type"] = _as_type(argument.parse)
    if argument.metavar is not None:
        options["metavar"] = argument.metavar
    if argument.choices:
        options["choices"] = argument.choices
    if argument.takes_many:
        return options | ({"action": "append"} if is_option else {"nargs": "*"})
    return options | ({"nargs": "?"} if argument.is_optional and not is_option else {})


def _as_type(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Wrap a parser so that its words reach the person."""

    def read(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read
