"""Entry point: command-line parsing, dispatch and exit codes.

An error becomes one line on standard error and an exit code.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from mcp_gateway.cli.context import CommandContext
from mcp_gateway.cli.terminal import complain, complain_text
from mcp_gateway.config.syntax.picture import split_lines, split_problems
from mcp_gateway.plugin import GatewayError
from mcp_gateway.protocol.implementation import NAME, VERSION
from mcp_gateway.runtime.lazy_imports import defer_sdk_imports
from mcp_gateway.text.redaction import mask_secrets

_EPILOG = """\
Without a command the gateway serves, over standard input and output unless GATEWAY_TRANSPORT says otherwise.
Exit codes: 0 all is well, 1 something is wrong (standard error says what), 2 the command line is wrong.
"""

_WITHOUT_THE_SDK = frozenset({"plugins", "check", "schema", "trust"})


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    if sys.stderr is None:  # the parent process has closed it
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # it stays open to the end
    _accept_all_characters(sys.stdout)
    arguments = _parser().parse_args(argv)
    try:
        return _run(arguments.command or "serve", arguments)
    except GatewayError as error:
        complain(*(line for problem in split_problems(str(error)) for line in split_lines(f"{NAME}: {problem}")))
        return 1
    except BrokenPipeError:  # the reader of the output has ended: `... tools | head`
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception:  # noqa: BLE001  # a traceback may quote text of servers and plugins
        complain_text(mask_secrets(traceback.format_exc()))
        return 1


def _accept_all_characters(output: TextIO | None) -> None:
    """Make output accept every character that servers send.

    UTF-8 where the output is no terminal; characters that a terminal cannot encode are escaped.
    """
    if isinstance(output, TextIOWrapper):
        output.reconfigure(encoding=None if output.isatty() else "utf-8", errors="backslashreplace")


def _run(command: str, arguments: argparse.Namespace) -> int:  # noqa: C901, PLR0911  # one a command
    """Import and run a command.

    Commands are imported on demand, because several do not need the MCP SDK, which is slow to import.
    """
    if command not in _WITHOUT_THE_SDK or getattr(arguments, "connect", False):
        defer_sdk_imports()
    if command == "trust":  # it must not read the configuration of the folder in question
        from mcp_gateway.cli.commands.trust import run_trust

        return run_trust(arguments)
    reading = CommandContext.of(arguments)
    match command:
        case "plugins":
            from mcp_gateway.cli.commands.plugins import show_plugins

            return show_plugins(reading, as_json=arguments.json)
        case "check":
            from mcp_gateway.cli.commands.check import check

            return check(reading, as_json=arguments.json, connect=arguments.connect)
        case "login":
            from mcp_gateway.cli.commands.login import login

            return login(reading, arguments.server, browser=not arguments.no_browser)
        case "schema":
            from mcp_gateway.cli.commands.schema import show_schema

            return show_schema(reading)
        case "pins":
            from mcp_gateway.cli.commands.pins import show_pins

            return show_pins(reading, as_json=arguments.json)
        case "approve":
            from mcp_gateway.cli.commands.pins import approve

            return approve(reading, arguments.server, arguments.tool)
        case "servers":
            from mcp_gateway.cli.commands.servers import show_servers

            return show_servers(reading, as_json=arguments.json)
        case "serve":
            from mcp_gateway.cli.commands.serve import serve

            return serve(reading)
        case _:
            from mcp_gateway.cli.local_client import use

            return use(reading, arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=NAME,
        description="One MCP endpoint in front of many MCP servers, with search over all of their tools.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{NAME} {VERSION}")
    parser.add_argument("--config", metavar="FILE", help="the file of servers (SERVER_CONFIG_PATH)")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    serve = _command(commands, "serve", "serve clients (the default)")
    serve.add_argument("--transport", help="stdio, http or a plugin's (GATEWAY_TRANSPORT)")
    serve.add_argument("--host", help="the address to listen at (GATEWAY_HOST)")
    serve.add_argument("--port", help="the port to listen at (GATEWAY_PORT)")
    _with_json(_command(commands, "servers", "say how every server is doing, and why"))
    tools = _with_json(_command(commands, "tools", "list the tools of all servers"))
    tools.add_argument("--server", metavar="NAME", help="of this server only")
    search = _with_json(_command(commands, "search", "find tools, as a model would"))
    search.add_argument("query", help="what to look for")
    search.add_argument("--ranker", metavar="NAME", help="how to rank: bm25, regex, hybrid or a plugin's")
    search.add_argument("--server", metavar="NAME", action="append", help="of this server only; may be repeated")
    search.add_argument("--explain", action="store_true", help="say why each tool was found")
    search.add_argument("--max", type=_count, default=5, metavar="N", help="how many to show (default 5)")
    call = _with_json(_command(commands, "call", "call a tool, as a model would"))
    call.add_argument("tool", help="the full name, server__tool")
    call.add_argument("arguments", nargs="?", default="{}", help="a JSON object, or - to read it from standard input")
    login = _command(commands, "login", "log in to a server that wants that (OAuth)")
    login.add_argument("server", metavar="SERVER", help="the server's name")
    login.add_argument("--no-browser", action="store_true", help="only print the link")
    check = _with_json(_command(commands, "check", "say whether the configuration is right"))
    check.add_argument("--connect", action="store_true", help="try every server, too: start it or connect to it")
    _with_json(_command(commands, "plugins", "list what is installed, selected and broken"))
    _with_json(_command(commands, "pins", "list the tools whose definitions have changed or look suspicious"))
    right = _command(commands, "approve", "take changed definitions for right")
    right.add_argument("server", help="the server's name")
    right.add_argument("tool", nargs="?", help="the tool's own name; without it, all of the server's")
    trust = _command(commands, "trust", "let gateways over stdio in a folder read its server_config.json as it is now")
    trust.add_argument("folder", nargs="?", default=".", help="the folder (default: this one)")
    instead = trust.add_mutually_exclusive_group()
    instead.add_argument("--list", action="store_true", help="list what is trusted")
    instead.add_argument("--remove", action="store_true", help="trust it no longer")
    _command(commands, "schema", "print the JSON Schema of the file of servers")
    return parser


def _command(commands: Any, name: str, does: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.")
    return parser


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise argparse.ArgumentTypeError("it must be 1 or more")
    return count


def _with_json(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser
