"""TOML as a list of headers and keys with values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from mcp_gateway_cli.editing.syntax import EditPath

_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'  # texts over several lines
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*"
    r"|[\[\]{}=,\n]",
    re.DOTALL,
)
_KEY_PART = re.compile(r"""\s*("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)\s*(\.|$)""")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement and its place.

    * `path`: the whole path that it defines.
    * `table`: the path of the header that it stands below; for a header its own.
    * `value`: where the value begins; for a header -1.
    """

    path: EditPath
    table: EditPath
    start: int
    end: int
    value: int = -1

    @property
    def is_header(self) -> bool:
        """Whether it begins a table."""
        return self.value < 0


def read_statements(text: str) -> list[Statement]:
    """Read the statements of a text that is TOML."""
    found: list[Statement] = []
    table: EditPath = ()
    counts: dict[EditPath, int] = {}
    for start, value, end in _find_spans(text):
        if value < 0:
            table = _read_header(text[start:end], counts)
            found.append(Statement(table, table, start, end))
        else:
            key = split_key(text[start : value - 1])
            begin = value + len(text[value:end]) - len(text[value:end].lstrip(" \t"))
            found.append(Statement((*table, *key), table, start, end, begin))
    return found


def _find_spans(text: str) -> Iterator[tuple[int, int, int]]:
    """Yield start, place of the value and end of statements."""
    start, depth, value = 0, 0, -1
    end = 0
    for token in [*_TOKEN.finditer(text), None]:
        mark = "\n" if token is None else token[0]
        at = len(text) if token is None else token.start()
        if mark == "\n" and (depth == 0 or token is None):
            begin = start + len(text[start:at]) - len(text[start:at].lstrip())
            stop = end if end > begin else at
            if stop > begin:
                yield begin, value, begin + len(text[begin:stop].rstrip())
            start, value, end = at + 1, -1, 0
        elif mark.startswith("#"):
            end = end or (at if depth == 0 else 0)
            if depth == 0 and not text[start:at].strip():
                start = end = line = at + len(mark)  # a line of its own
                start = line
        elif mark in ("[", "{"):
            depth += 1
        elif mark in ("]", "}"):
            depth -= 1
        elif mark == "=" and depth == 0 and value < 0:
            value = at + 1


def _read_header(written: str, counts: dict[EditPath, int]) -> EditPath:
    is_list = written.startswith("[[")
    key = split_key(written.strip("[] \t"))
    path: EditPath = ()
    for place, part in enumerate(key):
        path = (*path, part)
        is_last = place == len(key) - 1
        if is_last and is_list:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def split_key(written: str) -> EditPath:
    """Split a dotted key into its parts."""
    parts: list[str] = []
    position = 0
    while found := _KEY_PART.match(written, position):
        part = found[1]
        parts.append(json.loads(part) if part[0] == '"' else part.strip("'"))
        position = found.end()
        if not found[2]:
            break
    return tuple(parts)


def write_key(path: EditPath) -> str:
    """Write a dotted key, without indexes in lists."""
    parts = (str(part) for part in path if isinstance(part, str))
    return ".".join(part if _BARE.fullmatch(part) else json.dumps(part, ensure_ascii=False) for part in parts)
