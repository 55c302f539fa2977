"""Help: what the program is, and its verbs by purpose."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from mcp_gateway.control.program import find_program_name
from mcp_gateway.control.terminal import find_width
from mcp_gateway.plugin import Command
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway.text.wrapping import fill, wrap_line

SUMMARY = "One MCP server in front of all of yours, with search over all of their tools."

GROUPS = {
    "start here": ("init", "doctor", "undo", "help", "version"),
    "servers": ("add", "remove", "enable", "disable", "list", "import", "check", "login", "logout", "secret"),
    "tools": ("tools", "search", "describe", "call", "pins", "approve"),
    "gateway": ("serve", "status", "servers", "logs", "connect", "disconnect", "trust", "schema", "completion"),
    "plugins": ("plugins",),
}
"""Verbs by purpose; others that plugins bring are in the last group."""

_WIDTH = 100
"""How wide help is that is piped, and at most."""

_MARGIN = 14
"""Where summaries of verbs begin."""

_END = f"""\
Without a command it serves MCP over standard input and output to the program that started it; at a terminal it says \
where to start.

examples:
  {NAME} init
  {NAME} search "send an email"
  {NAME} add time -- uvx mcp-server-time
  {NAME} serve --transport http

Exit codes: 0 all is well, 1 something is wrong (standard error says what), 2 the command line is wrong; of doctor \
also 10 there are warnings, 11 there are errors."""

_WELCOME = f"""\
{SUMMARY}

Start here:
  {NAME} init
It finds the MCP servers of your programs (Claude, Cursor, VS Code and others), and asks before it changes anything.

Then your programs start the gateway themselves, and speak MCP with it over standard input and output. By hand that is \
"{NAME} serve". More: {NAME} --help"""


def find_help_width() -> int:
    """Return the width of the terminal, but no more than is readable."""
    return min(find_width(sys.stdout) or _WIDTH, _WIDTH)


def wrap_help(text: str) -> str:
    """Break the lines of a help text where the terminal ends.

    The program is called as it was typed.
    """
    lines = text.replace(NAME, find_program_name()).splitlines()
    return "\n".join(part for line in lines for part in _wrap(line, find_help_width()))


def _wrap(line: str, width: int) -> list[str]:
    """Break prose; an indented command is to be copied."""
    if not line.startswith(" "):
        return fill(line, width)
    return [line] if find_program_name() in line else wrap_line(line, width)


def describe_program() -> str:
    """Return what a person reads who has typed the program's name only."""
    return wrap_help(_WELCOME)


def list_verbs(commands: Iterable[Command]) -> str:
    """Return the verbs in groups, with what each does."""
    left = {command.name: command for command in commands}
    lines: list[str] = []
    for title, verbs in GROUPS.items():
        found = [left.pop(verb) for verb in verbs if verb in left]
        if title == list(GROUPS)[-1]:
            found += left.values()
        lines += [f"{title}:", *(line for command in found for line in _describe(command)), ""]
    return "\n".join(lines[:-1])


def _describe(command: Command) -> list[str]:
    first, *rest = fill(command.summary, find_help_width() - _MARGIN)
    name = f"  {command.name}"
    if len(name) + 2 > _MARGIN:
        return [name, *(f"{'':<{_MARGIN}}{line}" for line in (first, *rest))]
    return [f"{name:<{_MARGIN}}{first}", *(f"{'':<{_MARGIN}}{line}" for line in rest)]


def describe_end() -> str:
    """Return what stands below the verbs and options."""
    return wrap_help(_END)
