"""Answers to a shell that asks what may come next, by argcomplete."""

from __future__ import annotations

from argparse import Action, ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from argcomplete import autocomplete
from argcomplete.completers import SuppressCompleter

from mcp_gateway.control.context import ControlContext
from mcp_gateway.plugin import Argument, Command
from mcp_gateway_cli.completion.values import VALUES, Typed
from mcp_gateway_cli.parser import build_parser

OPTIONS: Mapping[str, Any] = {"always_complete_options": False, "default_completer": SuppressCompleter()}
"""How argcomplete answers: options only where a hyphen is typed, and no files unless an argument takes some."""


@dataclass(frozen=True, slots=True)
class ValueCompleter:
    """Lists the values of one argument, as argcomplete asks for them."""

    values: str

    def __call__(self, prefix: str, action: Action, parser: ArgumentParser, parsed_args: Namespace) -> Iterable[str]:
        """Return what may replace `prefix`; nothing if in doubt."""
        del parser
        config = getattr(parsed_args, "config", None)
        given = getattr(parsed_args, action.dest, None)
        before = tuple(given) if isinstance(given, list) else ()
        context = ControlContext({"SERVER_CONFIG_PATH": config} if config else {})
        try:
            return [*VALUES[self.values](context, Typed(prefix, before))]
        except Exception:  # noqa: BLE001  # a line that is being typed is no place for an error
            return ()


def complete_words(commands: Iterable[Command]) -> None:
    """Answer a shell that asks what may come next.

    The process ends with that.
    """
    autocomplete(build_completed_parser(commands), **OPTIONS)


def build_completed_parser(commands: Iterable[Command]) -> ArgumentParser:
    """Return the parser of all commands, with what completes each argument."""
    return build_parser(commands, _find_completer)


def _find_completer(argument: Argument) -> Callable[..., Iterable[str]] | None:
    return ValueCompleter(argument.values) if argument.values in VALUES else None
