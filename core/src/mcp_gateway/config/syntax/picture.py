"""Pictures of a place in a file, for errors."""

from __future__ import annotations

import re

_BEFORE, _AFTER = 24, 46
"""How much of a line is shown around a place: the mark is in the first 40 columns, and the rest in 80."""
_WORD = re.compile(r"\w[\w-]*")
_SHOWN = re.compile(
    r"args|command|config|context_servers|cwd|description|disabled(Tools)?|enabled(Tools)?|env|envFile|envs|exclude|extensions"
    r"|false|headers|https?|http_headers|id|include|inputs|mcp|mcpServers|mcp_servers|name|node|npx|null|python3?|servers"
    r"|sse|stdio|timeout|tools|transport|true|type|uri|url|uvx|version"
)
"""The words of a line that are shown.

All others may be secrets, or parts of one: keys, too, where a quote is missing.
"""

_HIDDEN = "\u00b7"
_PICTURE_LINE = r" *\d* \| "
_LETTER = re.compile(r"[^\W_]")


def line_and_column(text: str, position: int) -> tuple[int, int]:
    """Return line and column of a position, both from 1."""
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)


def describe_place(text: str, position: int, words: str) -> str:
    """Describe a mistake with line, column and picture."""
    line, column = line_and_column(text, position)
    return f"line {line}, column {column}: {words}\n{draw_place(text, position)}"


def draw_place(text: str, position: int) -> str:
    """Draw the line of a position, and a mark below it.

    Only common words and punctuation are readable, because values may be secrets. A last line says so.
    """
    line, column = line_and_column(text, position)
    begin = position - column + 1
    end = text.find("\n", begin)
    whole = _mask(text[begin : len(text) if end < 0 else min(end, begin + 10_000)])
    first = max(0, column - 1 - _BEFORE)
    shown = whole[first : column + _AFTER].rstrip()
    # Characters that take no place, or two, would move the mark.
    shown = "".join(character if character.isprintable() else " " for character in shown)
    number = f"{line:>5} | "
    margin = f"{' ' * (len(number) - 2)}| "
    hidden = f"\n{margin}({_HIDDEN} hides what may be a secret)" if _HIDDEN in shown else ""
    return f"{number}{shown}\n{margin}{' ' * (column - 1 - first)}^{hidden}"


def _mask(line: str) -> str:
    return _WORD.sub(lambda word: word[0] if _SHOWN.fullmatch(word[0]) else _LETTER.sub(_HIDDEN, word[0]), line)


def is_picture_line(line: str) -> bool:
    """Whether a line is one of a picture."""
    return re.match(_PICTURE_LINE, line) is not None


def split_problems(message: str) -> list[str]:
    """Split a message into problems; the lines of a picture stay together."""
    return re.split(rf"\n(?!{_PICTURE_LINE})", message)


def split_lines(problem: str) -> list[str]:
    """Split a problem into its words and the lines of its picture.

    Another line break is left in: it came with a name, which must not begin a line of its own.
    """
    return re.split(rf"\n(?={_PICTURE_LINE})", problem)


def describe_briefly(message: str) -> str:
    """Return the words of all problems in one line, without pictures."""
    return "; ".join(split_lines(problem)[0] for problem in split_problems(message))


def describe_repeated(key: str, first: int, line: int) -> str:
    """Describe a key that stands twice in one object."""
    words = f"the key {key!r} stands twice in one object, first in line {first}, and this one is used"
    return f"line {line}: {words}; remove one of the two"
