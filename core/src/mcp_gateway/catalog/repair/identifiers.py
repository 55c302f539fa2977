"""Identifiers (`$id`) of the output schemas in one list.

Clients compile the schemas of a list together, whichever server they are from. With one identifier for two schemas they
refuse the list, or check the results of one tool by the schema of another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mcp_gateway.catalog.repair.references import References


@dataclass(frozen=True, slots=True)
class Identifiers:
    """The identifiers of a list so far, with their schemas."""

    _known: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, definition: dict[str, Any]) -> dict[str, Any]:
        """Add a tool; return it without an `outputSchema` that is ambiguous."""
        schema = definition.get("outputSchema")
        if not isinstance(schema, dict):
            return definition
        found = References(schema).resources
        if any(self._known.get(name, part) != part for name, part in found.items()):
            return {name: value for name, value in definition.items() if name != "outputSchema"}
        self._known.update(found)
        return definition
