"""JSON as a tree of places in its text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mcp_gateway_cli.editing.errors import EditError
from mcp_gateway_cli.editing.syntax import EditPath

_STRING = r'"(?:[^"\\\n]|\\.)*"'
TOKEN = re.compile(rf"{_STRING}|//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/|[{{}}\[\]:,]|[^\s{{}}\[\]:,\"/]+")
"""A text, a comment, punctuation, or a number or word."""


@dataclass(slots=True)
class Node:
    """A value and its place in the text.

    `comma` is where the comma behind the last member stands, or -1.
    """

    start: int
    end: int = -1
    kind: str = ""
    members: list[Member] = field(default_factory=list)
    comma: int = -1

    def find(self, key: str | int) -> Member | None:
        """Return a member, the last one of repeated keys."""
        if isinstance(key, int):
            return self.members[key] if self.kind == "[" and key < len(self.members) else None
        return next((member for member in reversed(self.members) if member.key == key), None)


@dataclass(slots=True)
class Member:
    """A member of an object or a list, with its place."""

    start: int
    node: Node
    key: str | None = None


def read_tree(text: str) -> Node:
    """Read the tree of a text that is JSON with comments."""
    tokens = (match for match in TOKEN.finditer(text) if not match[0].startswith(("//", "/*")))
    return _read_node(next(tokens), tokens)


def find_node(tree: Node, path: EditPath) -> Node:
    """Return the node at a path.

    Raises:
        EditError: there is none.

    """
    for key in path:
        member = tree.find(key)
        if member is None:
            raise EditError(f"it has no {key!r}")
        tree = member.node
    return tree


def _read_node(first: re.Match[str], tokens: Iterator[re.Match[str]]) -> Node:
    node = Node(first.start(), first.end(), first[0] if first[0] in "{[" else "")
    if not node.kind:
        return node
    for token in tokens:
        if token[0] in "}]":
            node.end = token.end()
            return node
        if token[0] == ",":
            node.comma = token.start()
            continue
        node.comma = -1
        node.members.append(_read_member(node, token, tokens))
    raise EditError("a bracket is never closed")


def _read_member(node: Node, first: re.Match[str], tokens: Iterator[re.Match[str]]) -> Member:
    if node.kind == "[":
        return Member(first.start(), _read_node(first, tokens))
    next(tokens)  # the colon
    return Member(first.start(), _read_node(next(tokens), tokens), json.loads(first[0]))
