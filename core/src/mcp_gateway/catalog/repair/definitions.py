"""Repair of definitions, for lists that every client can read.

The official clients validate a list as a whole: one definition with a field of a wrong type, or with null where a field
should be missing, costs them all of it. Here such fields are left out. The tables follow the specification's schemas of
both eras, and what the SDKs refuse besides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cache, partial
from typing import Annotated, Any

from pydantic import AnyUrl, TypeAdapter, UrlConstraints, ValidationError

from mcp_gateway.catalog.repair.json_schemas import INPUT_SCHEMA, OutputSchema
from mcp_gateway.catalog.repair.shapes import (
    BOOLEAN,
    INTEGER,
    OBJECT,
    TEXT,
    ListOf,
    Members,
    Plain,
    Shape,
    is_number,
    is_text,
    one_of,
    replace_members,
)
from mcp_gateway.protocol.primitives import PROMPTS, RESOURCES, TEMPLATES, TOOLS, Primitive
from mcp_gateway.protocol.tool_names import MAX_NAME

_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII
)


class Unrepairable(Exception):
    """A definition that cannot be repaired without a change of its meaning."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A definition that clients do not see, and the reason.

    `primitive` is the name of its primitive, `name` its identifier.
    """

    primitive: str
    name: str
    reason: str

    @property
    def what(self) -> str:
        """The definition and the reason, in words."""
        return f"{self.primitive.removesuffix('s')} {quote_name(self.name)} is left out: {self.reason}"


def _is_timestamp(value: Any) -> bool:
    """Whether a value is a time as the TypeScript SDK reads it.

    That is RFC 3339 with an offset, the letters in upper case.
    """
    found = _TIMESTAMP.fullmatch(value) if isinstance(value, str) else None
    try:
        return found is not None and date.fromisoformat(found[1]) is not None
    except ValueError:
        return False


_ICON = Members(
    {"mimeType": TEXT, "sizes": ListOf(TEXT), "theme": one_of("dark", "light")},
    required={"src": TEXT},
)
ICONS = ListOf(_ICON)
_DISPLAY: dict[str, Shape] = {"title": TEXT, "description": TEXT, "icons": ICONS, "_meta": OBJECT}
_HINTS = ("destructiveHint", "idempotentHint", "openWorldHint", "readOnlyHint")
_ANNOTATIONS = Members(
    {
        "audience": ListOf(one_of("assistant", "user")),
        "lastModified": Plain(_is_timestamp),
        "priority": Plain(lambda value: is_number(value) and 0 <= value <= 1),
    }
)
_ARGUMENT = Members({"title": TEXT, "description": TEXT, "required": BOOLEAN}, required={"name": TEXT})
_RESOURCE: dict[str, Shape] = {**_DISPLAY, "mimeType": TEXT, "annotations": _ANNOTATIONS}

_FIELDS: dict[Primitive, dict[str, Shape]] = {
    TOOLS: {
        **_DISPLAY,
        "annotations": Members({"title": TEXT, **dict.fromkeys(_HINTS, BOOLEAN)}),
        "execution": Members({"taskSupport": one_of("forbidden", "optional", "required")}),
        "outputSchema": OutputSchema(),
    },
    PROMPTS: {**_DISPLAY, "arguments": ListOf(_ARGUMENT)},
    RESOURCES: {**_RESOURCE, "size": INTEGER},
    TEMPLATES: _RESOURCE,
}
"""The optional fields of each primitive; others are left as they are."""


def repair_definition(primitive: Primitive, definition: dict[str, Any]) -> dict[str, Any] | LeftOut:
    """Return a definition as clients can read it.

    It is the same object if it is valid. If clients cannot read it at all, the reason is returned. It must have its
    identifier.
    """
    try:
        return _REQUIRED[primitive](replace_members(definition, _FIELDS[primitive].get))
    except Unrepairable as error:
        reason = str(error)
    except RecursionError:
        reason = "it is nested too deeply"
    return LeftOut(primitive.name, definition[primitive.key], reason)


def quote_name(name: str) -> str:
    """Quote a server's name for something, shortened."""
    return repr(name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}…")


def _repair_tool(definition: dict[str, Any]) -> dict[str, Any]:
    given = definition.get("inputSchema")
    schema = repair_input_schema(given)
    return definition if schema is given else {**definition, "inputSchema": schema}


def _repair_resource(definition: dict[str, Any], key: str = "uri") -> dict[str, Any]:
    if key == "uri" and not _is_uri(definition[key]):
        raise Unrepairable("its uri is no URI")
    # The identifier is what clients can show in the place of a missing name.
    return definition if is_text(definition.get("name")) else {**definition, "name": definition[key]}


_REQUIRED: dict[Primitive, Callable[[dict[str, Any]], dict[str, Any]]] = {
    TOOLS: _repair_tool,
    PROMPTS: lambda definition: definition,
    RESOURCES: _repair_resource,
    TEMPLATES: partial(_repair_resource, key="uriTemplate"),
}
"""The repair of the fields that a definition must have besides its identifier."""


def repair_input_schema(value: Any) -> dict[str, Any]:
    """Return an input schema whose root is an object with properties.

    A missing schema says nothing of the arguments, as one without members.

    Raises:
        Unrepairable: it is none, or not one of objects.

    """
    schema = {} if value is None else value
    if not isinstance(schema, dict):
        raise Unrepairable("its inputSchema is no object")
    repaired: dict[str, Any] = INPUT_SCHEMA.repair(schema)
    kind = repaired.get("type", "object")
    if kind != "object" and "object" not in kind:
        raise Unrepairable(f"its inputSchema is not one of objects, but of the type {json.dumps(kind)}")
    missing: dict[str, Any] = {} if kind == "object" and "type" in repaired else {"type": "object"}
    missing |= {} if "properties" in repaired else {"properties": {}}
    return {**repaired, **missing} if missing else repaired


@cache
def _uri_reader() -> TypeAdapter[AnyUrl]:
    """Return the reader of URIs that the Python SDK 1.x has."""
    return TypeAdapter(Annotated[AnyUrl, UrlConstraints(host_required=False)])


def _is_uri(text: str) -> bool:
    try:
        _uri_reader().validate_python(text)
    except ValidationError:
        return False
    return True
