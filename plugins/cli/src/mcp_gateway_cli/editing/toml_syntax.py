"""Edits of TOML."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import groupby
from typing import Any

from mcp_gateway.config.syntax.markup import parse_toml
from mcp_gateway_cli.editing.errors import EditError
from mcp_gateway_cli.editing.syntax import (
    EditPath,
    Splice,
    apply_splices,
    find_newline,
    indentation_at,
    line_end,
    line_start,
    previous_line_end,
)
from mcp_gateway_cli.editing.toml_inline import insert_inline, remove_inline
from mcp_gateway_cli.editing.toml_statements import Statement, read_statements, write_key


class TomlSyntax:
    """TOML."""

    name = "TOML"

    def parse(self, text: str) -> Any:
        """Return the value of a text, by default a table."""
        value, warnings = parse_toml(text)
        if warnings:
            raise EditError(f"{warnings[0]} first")
        return value

    def set_value(self, text: str, path: EditPath, value: Any) -> str:
        """Return the text with a value added or replaced."""
        statements = read_statements(text)
        for statement in statements:
            if statement.is_header:
                continue
            if statement.path == path:
                return apply_splices(text, [Splice(statement.value, statement.end, write_value(value))])
            if path[: len(statement.path)] == statement.path:
                rest = path[len(statement.path) :]
                return insert_inline(text, statement, rest, write_value(value))
        if any(_is_within(statement.path, path) for statement in statements):
            text = self.remove_value(text, path)
            statements = read_statements(text)
        if _is_table(value):
            return _add_table(text, statements, path, value)
        return _add_key(text, statements, path, value)

    def remove_value(self, text: str, path: EditPath) -> str:
        """Return the text without all statements that define a value."""
        statements = read_statements(text)
        if splices := _remove_all(text, statements, path):
            left = apply_splices(text, splices)
            return left if text[:1].isspace() else left.lstrip("\r\n")
        for statement in statements:
            if not statement.is_header and path[: len(statement.path)] == statement.path:
                return remove_inline(text, statement, path[len(statement.path) :])
        raise EditError(f"it has no {path[-1]!r}")


def write_value(value: Any) -> str:
    """Write a value in one line.

    Raises:
        EditError: it is null, which TOML does not have.

    """
    if value is None:
        raise EditError("TOML has no null; leave the key out")
    if isinstance(value, Mapping):
        inside = ", ".join(f"{write_key((str(key),))} = {write_value(item)}" for key, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(write_value, value))}]"
    if isinstance(value, str):
        return re.sub("[\x7f]", r"\\u007f", json.dumps(value, ensure_ascii=False))
    return json.dumps(value) if isinstance(value, bool | int | float) else str(value)


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_within(path: EditPath, outer: EditPath) -> bool:
    return path[: len(outer)] == outer


def _add_key(text: str, statements: list[Statement], path: EditPath, value: Any) -> str:
    """Add a key to a table, below its header or dotted keys."""
    parent = path[:-1]
    direct = [item for item in statements if item.table == parent]
    if not direct:
        direct = [item for item in statements if not item.is_header and _is_within(item.path[:-1], parent)]
    newline = find_newline(text)
    if direct:
        last = direct[-1]
        written = f"{write_key(path[len(last.table) :])} = {write_value(value)}"
        end = line_end(text, last.end)
        indentation = "" if last.is_header else indentation_at(text, last.start)
        return apply_splices(text, [Splice(end, end, f"{newline}{indentation}{written}")])
    written = f"{write_key(path[-1:])} = {write_value(value)}"
    if parent:
        return _place_table(text, statements, parent, f"[{write_key(parent)}]{newline}{written}")
    first = min((line_start(text, item.start) for item in statements), default=len(text))
    gap = newline * 2 if statements else newline
    begin = newline if first and text[first - 1] != "\n" else ""
    return apply_splices(text, [Splice(first, first, f"{begin}{written}{gap}")])


def _add_table(text: str, statements: list[Statement], path: EditPath, table: Mapping[str, Any]) -> str:
    """Add a table as a block, or as those beside it."""
    siblings = [item for item in statements if _is_within(item.path, path[:-1]) and len(item.path) >= len(path)]
    is_dotted = bool(siblings) and not any(item.is_header for item in siblings)
    inside = [item for item in statements if item.table == path[:-1] and not item.is_header]
    is_entry = any(_is_within(item.table, path[:-1]) and len(item.table) >= len(path) for item in statements)
    if path[:-1] and not isinstance(path[-1], int) and (is_dotted or inside) and not is_entry:
        return _add_key(text, statements, path, table)
    newline = find_newline(text)
    blocks = _write_tables(path, table, newline)
    return _place_table(text, statements, path, (newline * 2).join(blocks))


def _write_tables(path: EditPath, table: Mapping[str, Any], newline: str) -> list[str]:
    """Write a table as one block, or one for each inner table."""
    if table and not isinstance(path[-1], int) and all(map(_is_table, table.values())) and len(path) == 1:
        return [block for key, value in table.items() for block in _write_tables((*path, key), value, newline)]
    opening, closing = ("[[", "]]") if isinstance(path[-1], int) else ("[", "]")
    lines = [f"{opening}{write_key(path)}{closing}"]
    lines += [f"{write_key((str(key),))} = {write_value(value)}" for key, value in table.items()]
    return [newline.join(lines)]


def _place_table(text: str, statements: list[Statement], path: EditPath, block: str) -> str:
    newline = find_newline(text)
    if not text.strip():
        return f"{text}{block}{newline}"
    near = [item for item in statements if path[:1] == item.path[:1]] or statements
    end = line_end(text, near[-1].end) if near else len(text.rstrip())
    gap = newline * (1 if _is_dense(text, statements, len(path)) else 2)
    return apply_splices(text, [Splice(end, end, f"{gap}{block}")])


def _is_dense(text: str, statements: list[Statement], depth: int) -> bool:
    """Whether the last table follows the one before without a blank line.

    Tables within others are written close more often, and do not count.
    """
    headers = [item for item in statements if item.is_header and len(item.path) <= depth]
    if len(headers) < 2:  # noqa: PLR2004  # one header shows nothing
        return False
    before = text[: headers[-1].start].rsplit("\n", 2)
    return len(before) > 1 and bool(before[-2].strip())


def _remove_all(text: str, statements: list[Statement], path: EditPath) -> list[Splice]:
    """Return the lines of all statements that define a value.

    Of the blank lines around a table one stays.
    """
    splices: list[Splice] = []
    for is_within, run in groupby(statements, lambda statement: _is_within(statement.path, path)):
        if is_within:
            first, *others = run
            joins = _is_blank_after(text, (others or [first])[-1].end)
            splices += [_remove(text, first, joins=joins), *(_remove(text, each, joins=True) for each in others)]
    return splices


def _is_blank_after(text: str, position: int) -> bool:
    """Whether nothing stands in the line after that of a position."""
    start = text.find("\n", position) + 1
    return start == 0 or not text[start : line_end(text, start)].strip()


def _remove(text: str, statement: Statement, *, joins: bool) -> Splice:
    """Return the lines of a statement, or of a header.

    With `joins` those of a header include the blank one before it.
    """
    start = previous_line_end(text, statement.start)
    end = line_end(text, statement.end)
    if start == 0 and line_start(text, statement.start) == 0:
        return Splice(0, min(len(text), end + len(find_newline(text))))
    if joins and statement.is_header and not text[line_start(text, start) : start].strip():
        start = previous_line_end(text, start)
    return Splice(start, end)
