"""MCP primitives and their list methods."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Primitive:
    """A primitive of MCP, such as tools.

    `method` lists it, `field` of the result has the list, `key` is the field that identifies an item, and
    `capability` is what servers with this primitive declare.
    """

    name: str
    method: str
    field: str
    key: str
    capability: str

    def admits(self, item: object) -> bool:
        """Whether `item` is a definition of this primitive.

        It must be an object with a non-empty identifier.
        """
        identity = item.get(self.key) if isinstance(item, dict) else None
        return isinstance(identity, str) and bool(identity)


TOOLS = Primitive("tools", "tools/list", "tools", "name", "tools")
PROMPTS = Primitive("prompts", "prompts/list", "prompts", "name", "prompts")
RESOURCES = Primitive("resources", "resources/list", "resources", "uri", "resources")
TEMPLATES = Primitive("templates", "resources/templates/list", "resourceTemplates", "uriTemplate", "resources")
PRIMITIVES = (TOOLS, PROMPTS, RESOURCES, TEMPLATES)
