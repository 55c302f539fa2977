"""The words of a command line: its verb, and the rest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from mcp_gateway.plugin import Command
from mcp_gateway_cli.parser import list_arguments

_HELP = ("-h", "--help", "-V", "--version")


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The verb of a command line, and its arguments without the verb.

    `verb` is empty if there is none: the gateway is to serve, or to show help. `strange` are options before it that no
    command has.
    """

    verb: str
    arguments: tuple[str, ...]
    strange: tuple[str, ...] = ()

    @property
    def wants_help(self) -> bool:
        """Whether it asks for help on the whole, or for the version."""
        return not self.verb and any(argument in _HELP for argument in self.arguments)


def wants_json(words: Sequence[str]) -> bool:
    """Whether a command line, right or wrong, asks for JSON."""
    options = takewhile(lambda word: word != "--", words)
    return any(len(word) > len("--") and "--json".startswith(word) for word in options)


def read_command_line(words: Sequence[str], commands: Iterable[Command]) -> CommandLine:
    """Find the verb: options may stand before it, with their values."""
    valued, flags = _list_options(commands)
    known, skip = {*valued, *flags, *_HELP}, False
    for place, word in enumerate(words):
        if skip:
            skip = False
        elif word == "--":
            break
        elif word.startswith("-"):
            skip = word in valued
        else:
            options = (word for word in words[:place] if word.startswith("-"))
            strange = tuple(option for option in options if option.partition("=")[0] not in known)
            return CommandLine(word, (*words[:place], *words[place + 1 :]), strange)
    return CommandLine("", tuple(words))


def _list_options(commands: Iterable[Command]) -> tuple[Collection[str], Collection[str]]:
    """Return the options with values, and those without."""
    arguments = [argument for command in commands for argument in list_arguments(command)]
    flags = {name for argument in arguments if argument.is_flag for name in argument.names}
    options = {name for argument in arguments for name in argument.names if name.startswith("-")}
    return options - flags, flags
