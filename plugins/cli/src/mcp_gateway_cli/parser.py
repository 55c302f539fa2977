"""The parser of the command line, made from the commands."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from mcp_gateway.control.program import find_program_name
from mcp_gateway.plugin import Argument, Command, UsageError
from mcp_gateway.protocol.implementation import NAME, VERSION
from mcp_gateway_cli.output.overview import SUMMARY, describe_end, find_help_width, list_verbs, wrap_help

_CONFIG = Argument(names=("--config",), help="the file of servers (SERVER_CONFIG_PATH)", metavar="FILE", values="files")
_JSON = Argument(names=("--json",), help="print JSON", is_flag=True)


_OTHER_OPTIONS = {"-v": "--version", "-?": "--help"}
"""What other programs call these options."""


class _Parser(argparse.ArgumentParser):
    """A parser that raises `UsageError` and suggests what was meant."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self._explain(message)} (see {self.prog} --help)")

    def _explain(self, message: str) -> str:
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown == message:
            return message
        first = unknown.split()[0]
        if not first.startswith("-"):
            takes = " ".join(str(action.metavar or action.dest) for action in self._get_positional_actions())
            return f"{first!r} is one word too many: it takes {takes or 'options only'}"
        option = first.partition("=")[0]
        if (meant := _OTHER_OPTIONS.get(option)) in self._option_string_actions:
            return f"unknown option {first!r}; did you mean {meant!r}?"
        hint = suggest(option, self._option_string_actions) or self._describe_separator()
        return f"unknown option {first!r}{hint}"

    def _describe_separator(self) -> str:
        """Describe where `--` belongs, if a command with options may follow it."""
        takes_command = any("after --" in str(action.help) for action in self._get_positional_actions())
        return "; put -- before a command with its options" if takes_command else ""


def suggest(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the nearest known word."""
    from mcp_gateway.text.suggestions import suggest_word

    return suggest_word(word, known)


FindCompleterFn = Callable[[Argument], object]
"""Returns what completes the values of an argument in shells, if anything does."""


def _find_none(_: Argument) -> None:
    """Find no completer: nothing is to be completed."""


def build_parser(commands: Iterable[Command], find_completer: FindCompleterFn = _find_none) -> argparse.ArgumentParser:
    """Return the parser of all commands, for the help and for completion."""
    known = list(commands)
    parser = _Parser(
        prog=find_program_name(),
        usage="%(prog)s [--config FILE] COMMAND ...",
        description=f"{wrap_help(SUMMARY)}\n\n{list_verbs(known)}",
        epilog=describe_end(),
        formatter_class=_make_formatter,
    )
    _add_version(parser)
    _add(parser, _CONFIG, find_completer)
    verbs = parser.add_subparsers(dest="command", metavar="COMMAND", help=argparse.SUPPRESS)
    for command in known:
        inner = verbs.add_parser(command.name, help=command.summary, **_describe(command))
        # Without a default, so that it does not undo what stands before the verb.
        _add(inner, replace(_CONFIG, default=argparse.SUPPRESS), find_completer)
        for argument in list_arguments(command)[1:]:
            _add(inner, argument, find_completer)
    return parser


def build_command_parser(command: Command, *, is_typed: bool = True) -> argparse.ArgumentParser:
    """Return the parser of one command.

    One that was not typed, because it is the default, is not named either.
    """
    program = find_program_name()
    parser = _Parser(prog=f"{program} {command.name}" if is_typed else program, **_describe(command))
    if not is_typed:
        _add_version(parser)
    for argument in list_arguments(command):
        _add(parser, argument)
    return parser


def _add_version(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-V", "--version", action="version", version=f"{NAME} {VERSION}")


def parse_arguments(command: Command, arguments: Sequence[str], *, is_typed: bool = True) -> argparse.Namespace:
    """Parse the arguments of a command, options before or after the others.

    What follows `--` belongs to its last argument, whatever it looks like. `is_typed` as in `build_command_parser`.

    Raises:
        UsageError: they are wrong.

    """
    parser = build_command_parser(command, is_typed=is_typed)
    rest = _rest_argument(command)
    before, tail = list(arguments), None
    if rest is not None and "--" in before:
        cut = before.index("--")
        before, tail = before[:cut], before[cut + 1 :]
    options = parser.parse_intermixed_args(before)
    if rest is not None:
        found = [*(getattr(options, rest.names[0]) or []), *(tail or [])]
        setattr(options, rest.names[0], found)
    return options


def _rest_argument(command: Command) -> Argument | None:
    """Return the positional argument that takes the rest, if any."""
    return next((one for one in command.arguments if one.takes_many and not one.names[0].startswith("-")), None)


def _make_formatter(prog: str) -> argparse.HelpFormatter:
    """Make what lays out help; texts are wrapped already."""
    return argparse.RawDescriptionHelpFormatter(prog, width=find_help_width())


def _describe(command: Command) -> dict[str, Any]:
    summary = command.summary
    program = find_program_name()
    examples = [f"  {program} {example}" for example in command.examples]
    notes = [note.replace("{program}", program) for note in command.notes]
    parts = [notes, ["examples:", *examples] if examples else []]
    return {
        "description": wrap_help(f"{summary[0].upper()}{summary[1:]}."),
        "epilog": wrap_help("\n\n".join("\n".join(part) for part in parts if part)) or None,
        "formatter_class": _make_formatter,
    }


def list_arguments(command: Command) -> list[Argument]:
    """Return the arguments of a command, with those that every command has."""
    return [_CONFIG, *([_JSON] if command.has_json else []), *command.arguments]


def _add(parser: argparse.ArgumentParser, argument: Argument, find_completer: FindCompleterFn = _find_none) -> None:
    is_option = argument.names[0].startswith("-")
    options: dict[str, Any] = {"help": argument.help.replace("%", "%%"), "default": argument.default}
    if argument.is_flag:
        parser.add_argument(*argument.names, **{**options, "action": "store_true", "default": bool(argument.default)})
        return
    options["type"] = _as_type(argument.parse)
    if argument.metavar is not None:
        options["metavar"] = argument.metavar
    if argument.choices:
        options["choices"] = argument.choices
    if argument.takes_many:
        options |= {"action": "append"} if is_option else {"nargs": "*"}
    elif argument.is_optional and not is_option:
        options["nargs"] = "?"
    action = parser.add_argument(*argument.names, **options)
    if (completer := find_completer(argument)) is not None:
        action.completer = completer  # type: ignore[attr-defined]  # argcomplete looks there


def _as_type(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Wrap a parser so that its words reach the person."""

    def read(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read
