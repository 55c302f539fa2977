"""Identifiers and references inside a JSON Schema that clients compile.

The TypeScript SDK 1.x refuses a list for one reference that it cannot resolve and for one identifier that it cannot
read. What is said to be in order here is in order there; rare forms of both are not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote

_ANCHORS = ("$anchor", "$dynamicAnchor")
_ANCHOR = re.compile(r"[A-Za-z_][-A-Za-z0-9._]*", re.ASCII)
_ID = re.compile(
    r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,4})?(?:/[\w./~+@=-]*)?|urn:[A-Za-z0-9][A-Za-z0-9-]+:[\w.:/-]+"
    r"|(?!urn:)[A-Za-z][A-Za-z0-9+.-]*:[\w.-]+|[\w./~-]+",
    re.ASCII | re.IGNORECASE,
)
_POINTER = re.compile(r"(?:/(?:[^%/~]|%[0-7][0-9A-Fa-f]|~[01])*)+")


def is_identifier(value: Any) -> bool:
    """Whether a value is an identifier that clients can read."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


@dataclass(frozen=True)
class References:
    """The identifiers and references of one schema."""

    root: dict[str, Any]

    @property
    def are_clear(self) -> bool:
        """Whether each identifier stands for one schema."""
        anchors = [name for node, _ in self._nodes for name in map(node.get, _ANCHORS) if isinstance(name, str)]
        ids = [name for node, _ in self._nodes if isinstance(name := node.get("$id"), str)]
        counts = (*Counter(anchors).values(), *Counter(ids).values())
        return all(count == 1 for count in counts) and all(map(_ANCHOR.fullmatch, anchors))

    @property
    def resolve(self) -> bool:
        """Whether all references lead to schemas of this document."""
        found = ((node.get("$ref"), is_nested) for node, is_nested in self._nodes)
        return all(
            self.resolves(reference) and not (is_nested and reference.startswith("#"))
            for reference, is_nested in found
            if isinstance(reference, str)
        )

    @property
    def have_nested_ids(self) -> bool:
        """Whether there are documents inside, with references of their own."""
        return any(is_nested for _, is_nested in self._nodes)

    def resolves(self, reference: Any) -> bool:
        """Whether a reference leads to a schema of this document.

        No client may fetch one from elsewhere.
        """
        if not isinstance(reference, str):
            return False
        if reference == "#" or reference in self._names:
            return True
        resource, _, pointer = reference.partition("#")
        start = self.resources.get(resource) if resource else self.root
        return start is not None and _POINTER.fullmatch(pointer) is not None and _has_schema(start, pointer)

    @cached_property
    def _names(self) -> frozenset[str]:
        anchors = (name for node, _ in self._nodes for name in map(node.get, _ANCHORS) if isinstance(name, str))
        return frozenset({*(f"#{name}" for name in anchors), *self.resources})

    @cached_property
    def resources(self) -> dict[str, dict[str, Any]]:
        """The schemas that have identifiers, by these."""
        named = ((node.get("$id"), node) for node, _ in self._nodes)
        return {name: node for name, node in named if isinstance(name, str) and is_identifier(name)}

    @cached_property
    def _nodes(self) -> list[tuple[dict[str, Any], bool]]:
        return list(self._walk())

    def _walk(self) -> Iterator[tuple[dict[str, Any], bool]]:
        """Yield all objects, and whether each is in a nested document."""
        waiting: list[tuple[Any, bool]] = [(self.root, False)]
        while waiting:
            value, is_nested = waiting.pop()
            if isinstance(value, dict):
                is_nested = is_nested or (value is not self.root and isinstance(value.get("$id"), str))
                yield value, is_nested
                waiting += ((inner, is_nested) for inner in value.values())
            elif isinstance(value, list):
                waiting += ((inner, is_nested) for inner in value)


def _has_schema(node: Any, pointer: str) -> bool:
    """Whether a JSON pointer (RFC 6901) leads to a schema."""
    for part in unquote(pointer).split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict) and name in node:
            node = node[name]
        elif isinstance(node, list) and name.isascii() and name.isdigit() and int(name) < len(node):
            node = node[int(name)]
        else:
            return False
    return isinstance(node, dict | bool)
