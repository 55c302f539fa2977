"""The protocol of a syntax, and the edits that all share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

EditPath = tuple[str | int, ...]
"""The keys, and indexes in lists, that lead to a value."""


class Syntax(Protocol):
    """A syntax: parsing, and edits that leave all else as it is.

    The value at `path[:-1]` exists and is an object or a list. An index that is the list's length appends.
    """

    name: str

    def parse(self, text: str) -> Any:
        """Return the value of a text; raise ConfigError if it has none."""
        ...

    def set_value(self, text: str, path: EditPath, value: Any) -> str:
        """Return the text with a value added or replaced."""
        ...

    def remove_value(self, text: str, path: EditPath) -> str:
        """Return the text without a value that it has."""
        ...


@dataclass(frozen=True, slots=True)
class Splice:
    """A piece of text that takes the place of another one."""

    start: int
    end: int
    text: str = ""


def apply_splices(text: str, splices: Iterable[Splice]) -> str:
    """Return the text with pieces replaced, which do not overlap."""
    for splice in sorted(splices, key=lambda splice: splice.start, reverse=True):
        text = text[: splice.start] + splice.text + text[splice.end :]
    return text


def find_newline(text: str) -> str:
    """Return the line break that a text uses."""
    first = text.find("\n")
    return "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"


def line_start(text: str, position: int) -> int:
    """Return where the line of a position begins."""
    return text.rfind("\n", 0, position) + 1


def line_end(text: str, position: int) -> int:
    """Return where the line of a position ends, before its line break."""
    end = text.find("\n", position)
    end = len(text) if end < 0 else end
    return end - 1 if end > position and text[end - 1] == "\r" else end


def indentation_at(text: str, position: int) -> str:
    """Return the white space that begins the line of a position."""
    found = re.compile(r"[ \t]*").match(text, line_start(text, position))
    return found[0] if found else ""


def previous_line_end(text: str, position: int) -> int:
    """Return where the line before that of a position ends."""
    start = line_start(text, position)
    if start == 0:
        return 0
    return start - 2 if text[start - 2 : start] == "\r\n" else start - 1
