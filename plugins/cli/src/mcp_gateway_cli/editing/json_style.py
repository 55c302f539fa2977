"""The style of a JSON document, and values in that style."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mcp_gateway_cli.editing.json_tree import Member, Node
from mcp_gateway_cli.editing.syntax import find_newline, indentation_at

_MAX_INLINE = 100
"""How long a list may be to stand in one line."""


@dataclass(frozen=True, slots=True)
class JsonStyle:
    """How a document is written.

    * `unit`: what each level is indented by.
    * `colon`, `comma`: with the space behind them, if the document has it.
    * `has_inline_lists`: whether lists of plain values stand in one line.
    """

    newline: str = "\n"
    unit: str = "  "
    colon: str = ": "
    comma: str = ", "
    is_multiline: bool = True
    has_inline_lists: bool = True

    def write(self, value: Any, indentation: str, *, inline: bool = False) -> str:
        """Write a value whose first line begins after `indentation`."""
        if not isinstance(value, dict | list) or not value:
            return json.dumps(value, ensure_ascii=False)
        in_line = self._write_inline(value)
        if inline or self._may_be_inline(value, in_line):
            return in_line
        inner = indentation + self.unit
        lines = f",{self.newline}".join(f"{inner}{key}{self.write(item, inner)}" for key, item in self._members(value))
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        return f"{opening}{self.newline}{lines}{self.newline}{indentation}{closing}"

    def write_key(self, key: str) -> str:
        """Write a key, with its colon."""
        return f"{json.dumps(key, ensure_ascii=False)}{self.colon}"

    def _write_inline(self, value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(self.comma, self.colon))

    def _may_be_inline(self, value: Any, in_line: str) -> bool:
        plain = isinstance(value, list) and not any(isinstance(item, dict | list) for item in value)
        return plain and self.has_inline_lists and len(in_line) <= _MAX_INLINE

    def _members(self, value: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(value, dict):
            yield from ((self.write_key(key), item) for key, item in value.items())
        else:
            yield from (("", item) for item in value)


def find_style(text: str, tree: Node) -> JsonStyle:
    """Return the style of a document."""
    nodes = list(_walk(tree))
    colons = {_gap(text, member) for node in nodes for member in node.members if member.key is not None}
    lists = [node for node in nodes if node.kind == "[" and node.members and not _has_nested(node)]
    is_compact = colons == {""}
    return JsonStyle(
        newline=find_newline(text),
        unit=next((unit for node in nodes if (unit := _unit(text, node))), "  "),
        colon=":" if is_compact else ": ",
        comma="," if is_compact else ", ",
        is_multiline="\n" in text[tree.start : tree.end] or not tree.members,
        has_inline_lists=not lists or any(is_inline(text, node) for node in lists),
    )


def is_inline(text: str, node: Node) -> bool:
    """Whether a node stands in one line."""
    return "\n" not in text[node.start : node.end]


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for member in node.members:
        yield from _walk(member.node)


def _has_nested(node: Node) -> bool:
    return any(member.node.kind for member in node.members)


def _gap(text: str, member: Member) -> str:
    """Return the white space between a colon and its value."""
    before = text[member.start : member.node.start]
    return before[len(before.rstrip()) :]


def _unit(text: str, node: Node) -> str:
    """Return the indentation of a node's members; empty if unclear."""
    if not node.members or "\n" not in text[node.start : node.members[0].start]:
        return ""
    outer, inner = indentation_at(text, node.start), indentation_at(text, node.members[0].start)
    return inner[len(outer) :] if inner.startswith(outer) else ""
