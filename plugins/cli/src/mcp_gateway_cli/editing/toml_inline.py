"""Edits of inline tables and lists in TOML."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mcp_gateway_cli.editing.errors import EditError
from mcp_gateway_cli.editing.syntax import EditPath, Splice, apply_splices
from mcp_gateway_cli.editing.toml_statements import Statement, split_key, write_key

_TOKEN = re.compile(
    r"""\"{3}(?:[^\\]|\\.)*?\"{3,5}|'{3}.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|#[^\n]*|[\[\]{},=]|[^\s\[\]{},=#"']+""",
    re.DOTALL,
)


@dataclass(slots=True)
class Item:
    """A member of an inline table or a list, with its place."""

    start: int
    end: int
    value: int
    key: EditPath = ()


@dataclass(slots=True)
class Inline:
    """An inline table or a list: its brackets and its members."""

    start: int
    end: int
    is_table: bool
    items: list[Item] = field(default_factory=list)


def insert_inline(text: str, statement: Statement, path: EditPath, written: str) -> str:
    """Return the text with a value set inside of a statement's value."""
    inline, rest = _descend(text, statement, path)
    item = _find_item(inline, rest[0])
    if item is not None and len(rest) == len(item.key or rest[:1]):
        return apply_splices(text, [Splice(item.value, item.end, written)])
    prefix = f"{write_key(rest)} = " if inline.is_table else ""
    if not inline.items:
        space = " " if inline.is_table else ""
        return apply_splices(text, [Splice(inline.start + 1, inline.end - 1, f"{space}{prefix}{written}{space}")])
    end = inline.items[-1].end
    return apply_splices(text, [Splice(end, end, f", {prefix}{written}")])


def remove_inline(text: str, statement: Statement, path: EditPath) -> str:
    """Return the text without a value inside of a statement's value.

    Raises:
        EditError: there is none.

    """
    inline, rest = _descend(text, statement, path)
    item = _find_item(inline, rest[0])
    if item is None:
        raise EditError(f"it has no {path[-1]!r}")
    place = inline.items.index(item)
    if len(inline.items) == 1:
        return apply_splices(text, [Splice(inline.start + 1, inline.end - 1)])
    if place:
        return apply_splices(text, [Splice(inline.items[place - 1].end, item.end)])
    return apply_splices(text, [Splice(item.start, inline.items[1].start)])


def _descend(text: str, statement: Statement, path: EditPath) -> tuple[Inline, EditPath]:
    start = statement.value
    while True:
        inline = _read_inline(text, start, statement.end)
        item = _find_item(inline, path[0])
        depth = len(item.key) if item is not None and item.key else 1
        if item is None or len(path) <= depth or path[: len(item.key)] != (item.key or ()):
            return inline, path
        start, path = item.value, path[depth:]


def _find_item(inline: Inline, key: str | int) -> Item | None:
    if isinstance(key, int):
        return inline.items[key] if key < len(inline.items) else None
    return next((item for item in inline.items if item.key[:1] == (key,)), None)


def _read_inline(text: str, start: int, end: int) -> Inline:
    """Read the members of the table or list that begins at `start`."""
    if text[start] not in "{[":
        raise EditError("it is neither a table nor a list")
    inline = Inline(start, end, is_table=text[start] == "{")
    depth, begin, value, last = 0, -1, -1, -1
    for token in _TOKEN.finditer(text, start + 1, end):
        mark = token[0]
        if mark.startswith("#"):
            continue
        if depth == 0 and mark in {",", "}", "]"}:
            if begin >= 0:
                inline.items.append(_to_item(text, inline, begin, value, last))
            begin = value = -1
            if mark != ",":
                inline.end = token.end()
                return inline
            continue
        begin = token.start() if begin < 0 else begin
        if mark == "=" and depth == 0 and value < 0:
            value = token.end()
        depth += (mark in {"[", "{"}) - (mark in {"]", "}"})
        last = token.end()
    raise EditError("a bracket is never closed")


def _to_item(text: str, inline: Inline, begin: int, value: int, end: int) -> Item:
    if not inline.is_table:
        return Item(begin, end, begin)
    inside = text[value:end]
    return Item(begin, end, value + len(inside) - len(inside.lstrip()), split_key(text[begin : value - 1]))
