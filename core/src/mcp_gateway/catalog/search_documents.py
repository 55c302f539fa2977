"""Search documents made from tool definitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mcp_gateway.plugin import Document, Parameter
from mcp_gateway.protocol.encoded_json import read
from mcp_gateway.protocol.tool_names import full_name


def document_from_definition(server: str, definition: Mapping[str, Any], name: str | None = None) -> Document:
    """Extract a search document from a tool definition.

    Members of a type that the MCP specification does not allow are left out.
    """
    definition = read(definition)
    annotations = definition.get("annotations")
    title = definition.get("title") or (annotations.get("title") if isinstance(annotations, dict) else None)
    return Document(
        id=name or full_name(server, definition["name"]),
        server=server,
        name=definition["name"],
        title=_text(title),
        description=_text(definition.get("description")),
        parameters=tuple(_parameters(definition.get("inputSchema"))),
    )


def _parameters(schema: object) -> Iterator[Parameter]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    for name, value in properties.items() if isinstance(properties, dict) else ():
        yield Parameter(name=name, text=" ".join(_texts(value)))


def _texts(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        yield _text(schema.get("description"))
        enum = schema.get("enum")
        yield from (item for item in (enum if isinstance(enum, list) else ()) if isinstance(item, str))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
