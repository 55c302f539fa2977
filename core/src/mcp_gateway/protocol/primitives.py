"""MCP primitives and their list methods."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Primitive:
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


TOOLS = Primitive("tools", "tools/list", "tools", "name", "tools")
PROMPTS = Primitive("prompts", "prompts/list", "prompts", "name", "prompts")
RESOURCES = Primitive("resources", "resources/list", "resources", "uri", "resources")
TEMPLATES = Primitive("templates", "resources/templates/list", "resourceTemplates", "uriTemplate", "resources")
PRIMITIVES = (TOOLS, PROMPTS, RESOURCES, TEMPLATES)
