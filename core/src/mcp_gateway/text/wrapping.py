"""Lines that fit the width of a terminal, broken between words only."""

from __future__ import annotations

import re
import unicodedata

_PROGRAM = r"mcp-(?:orchestration-)?gateway"
_CHUNK = re.compile(rf"(?<!\S){_PROGRAM} [^;,()]*[^;,()\s][;,)]*|\S+")
"""A word, or a command to type: copied from two lines it would run in two parts."""

_INDENT = "  "
"""What the second and later lines have more than the first one."""


def measure(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return len(text) if text.isascii() else sum(map(_measure_character, text))


def pad(text: str, width: int) -> str:
    """Return a text with spaces up to a width."""
    return text + " " * (width - measure(text))


def cut_to_width(text: str, width: int) -> str:
    """Return a text, or what of it fits and an ellipsis."""
    if measure(text) <= width:
        return text
    size, end = 1, 0
    while (size := size + measure(text[end])) <= width:
        end += 1
    return f"{text[:end]}…"


def split_chunks(text: str) -> list[str]:
    """Split a text into what is not broken: words and commands."""
    return _CHUNK.findall(text)


def wrap_line(line: str, width: int) -> list[str]:
    """Break a line of prose; what follows is indented.

    A word that is wider than the terminal is left to it: it is copied whole then.
    """
    return _wrap(line, width, _INDENT)


def wrap_text(line: str, width: int) -> list[str]:
    """Break a line of text, keeping its indent."""
    return _wrap(line, width, "")


def _wrap(line: str, width: int, more: str) -> list[str]:
    if measure(line) <= width:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    first, *rest = fill(line, width, f"{indent}{more}")
    return [f"{indent}{first}", *rest]


def fill(text: str, width: int, indent: str = "") -> list[str]:
    """Return lines of at most `width` columns, all but the first indented.

    The first has less room if the text begins with spaces, which it does not have itself.
    """
    words = text.lstrip()
    lines, end, room = [""], 0, width - measure(text) + measure(words)
    for found in _CHUNK.finditer(words):
        gap, end = words[end : found.start()], found.end()
        if not lines[0]:
            lines[0] = found[0]
        elif measure(lines[-1]) + measure(gap) + measure(found[0]) <= room:
            lines[-1] += gap + found[0]
        else:
            lines.append(f"{indent}{found[0]}")
            room = width
    return lines


def _measure_character(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
