"""References inside a JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote

_ANCHORS = ("$anchor", "$dynamicAnchor")


@dataclass(frozen=True)
class References:
    """What the references of one schema can lead to."""

    root: dict[str, Any]

    def resolves(self, reference: Any) -> bool:
        """Whether a reference leads to a schema of the same document.

        No client may fetch one from elsewhere.
        """
        if not isinstance(reference, str):
            return False
        if reference in {"", "#"} or reference in self._names:
            return True
        resource, _, fragment = reference.partition("#")
        if resource and resource not in self._names:
            return False
        start = self._resources.get(resource, self.root)
        return not fragment or (fragment.startswith("/") and _has_schema(start, fragment))

    @cached_property
    def exist(self) -> bool:
        """Whether the schema has references at all."""
        return any("$ref" in node for node in self._nodes())

    @cached_property
    def _names(self) -> frozenset[str]:
        anchors = {f"#{name}" for node in self._nodes() for name in map(node.get, _ANCHORS) if isinstance(name, str)}
        return frozenset(anchors | self._resources.keys())

    @cached_property
    def _resources(self) -> dict[str, dict[str, Any]]:
        return {name: node for node in self._nodes() if isinstance(name := node.get("$id"), str)}

    def _nodes(self) -> Iterator[dict[str, Any]]:
        waiting: list[Any] = [self.root]
        while waiting:
            match waiting.pop():
                case dict() as node:
                    yield node
                    waiting += node.values()
                case list() as items:
                    waiting += items


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
