"""MCP primitives and their list methods."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing.

    `method` lists it, the result holds it in `field`, `key` identifies one, and servers
    that have it declare `capability`.
    """

    name: str
    method: str
    field: str
    key: str
    capability: str

    def admits(self, item: object) -> bool:
        """Whether `item` is a definition of this primitive.

        It is if it is an object with the primitive's identifier.
        """
        identity = item.get(self.key) if isinstance(item, dict) else None
        return isinstance(identity, str) and bool(identity)


TOOLS = Kind("tools", "tools/list", "tools", "name", "tools")
PROMPTS = Kind("prompts", "prompts/list", "prompts", "name", "prompts")
RESOURCES = Kind("resources", "resources/list", "resources", "uri", "resources")
TEMPLATES = Kind("templates", "resources/templates/list", "resourceTemplates", "uriTemplate", "resources")
KINDS = (TOOLS, PROMPTS, RESOURCES, TEMPLATES)
