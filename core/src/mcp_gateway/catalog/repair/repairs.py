"""Repair of whole lists.

Clients see what is repaired in the place of what they would refuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp_gateway.catalog.repair.definitions import LeftOut, repair_definition
from mcp_gateway.protocol.encoded_json import EncodedTool, read
from mcp_gateway.protocol.primitives import PRIMITIVES, TOOLS, Primitive

Definition = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Repairs:
    """The repairs of a server's lists.

    `definitions` has, by the name of the primitive and by identifier, what clients see instead, or why they see
    nothing. What is valid has no entry, and so has a primitive of which all is valid.
    """

    definitions: Mapping[str, Mapping[str, Definition | LeftOut]] = field(default_factory=dict)

    def shown(self, primitive: Primitive, definition: Definition) -> Definition | None:
        """Return a definition as clients see it, or None."""
        repaired = self.definitions.get(primitive.name)
        if repaired is None:
            return definition
        found = repaired.get(definition[primitive.key], definition)
        return None if isinstance(found, LeftOut) else found

    def apply(self, primitive: Primitive, listed: Iterable[tuple[str, Definition]]) -> Iterator[tuple[str, Definition]]:
        """Yield names and definitions as clients see them."""
        for name, definition in listed:
            if (found := self.shown(primitive, definition)) is not None:
                yield name, found

    def find_left_out(self, lists: Mapping[str, Iterable[Definition]]) -> tuple[LeftOut, ...]:
        """Return what of these lists clients do not see."""
        found: list[LeftOut] = []
        for primitive in PRIMITIVES:
            if repaired := self.definitions.get(primitive.name):
                names = {definition[primitive.key] for definition in lists[primitive.name]}
                found += (each for name, each in repaired.items() if isinstance(each, LeftOut) and name in names)
        return tuple(found)

    def fill_in(self, before: Repairs, primitive: Primitive, listed: Iterable[Definition]) -> Repairs:
        """Add earlier repairs of one list, but of what is listed now."""
        now = {definition[primitive.key] for definition in listed}
        earlier = before.definitions.get(primitive.name, {})
        kept = {name: repaired for name, repaired in earlier.items() if name not in now}
        if not kept:
            return self
        return Repairs({**self.definitions, primitive.name: {**kept, **self.definitions.get(primitive.name, {})}})


def repair_lists(lists: Mapping[str, Iterable[Definition]]) -> Repairs:
    """Repair the definitions of a server, by the names of their primitives."""
    return Repairs({kind.name: repaired for kind in PRIMITIVES if (repaired := _repair_list(kind, lists[kind.name]))})


def _repair_list(primitive: Primitive, definitions: Iterable[Definition]) -> dict[str, Definition | LeftOut]:
    found: dict[str, Definition | LeftOut] = {}
    for definition in map(read, definitions):
        name, repaired = definition[primitive.key], repair_definition(primitive, definition)
        if repaired is definition:
            found.pop(name, None)  # of two definitions with one name the last counts
        elif primitive is TOOLS and isinstance(repaired, dict):
            found[name] = EncodedTool(repaired)
        else:
            found[name] = repaired
    return found
