"""Commands: verbs of the command line, with their arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One argument of a command.

    * `names`: one name without dashes for a positional argument, or the spellings of an option (`-e`, `--env`).
    * `help`: what it means, in a few words.
    * `metavar`: how its value is called in the help.
    * `parse`: makes the value from the text; it raises ValueError with a sentence for a person.
    * `default`: the value if it is not given.
    * `choices`: the permitted values; any if there are none.
    * `is_flag`: whether it takes no value, and is True if given.
    * `is_optional`: whether a positional argument may be left out.
    * `takes_many`: whether it may be repeated; a positional one takes the rest. Its value is a list.
    * `values`: what a shell offers to complete it: `servers`, `tools`, `files` or `folders`; besides, its choices.
    """

    names: tuple[str, ...]
    help: str
    metavar: str | None = None
    parse: Callable[[str], Any] = str
    default: Any = None
    choices: tuple[str, ...] = ()
    is_flag: bool = False
    is_optional: bool = False
    takes_many: bool = False
    values: str = ""


RunFn = Callable[[Any, Any], int]
"""Runs a command with its `CommandContext` and its arguments, attributes of one object; returns the exit code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A verb of the command line.

    * `name`: one lower-case word.
    * `summary`: what it does, as an imperative in lower case, without a full stop.
    * `run`: the function that runs it, or its place as `module:function`, which is imported when the command runs.
    * `arguments`: its arguments; those that every command has (`--config`) come on top.
    * `examples`: whole command lines without the program's name.
    * `has_json`: whether it has an option `--json`, and prints JSON then.
    * `notes`: more lines of its `--help`; `{program}` in them is the program's name as it was typed.
    * `needs_sdk`: whether it uses the MCP SDK, which takes time to import.
    """

    name: str
    summary: str
    run: RunFn | str
    arguments: tuple[Argument, ...] = ()
    examples: tuple[str, ...] = ()
    has_json: bool = False
    notes: tuple[str, ...] = ()
    needs_sdk: bool = True
