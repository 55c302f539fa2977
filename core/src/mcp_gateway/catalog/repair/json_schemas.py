"""Shapes of JSON Schemas.

A valid schema of any draft fits, but for boolean sub-schemas where clients and models expect an object: `true` becomes
`{}`, and `false` becomes `{"not": {}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp_gateway.catalog.repair.patterns import is_portable_pattern
from mcp_gateway.catalog.repair.references import References, is_identifier
from mcp_gateway.catalog.repair.shapes import (
    BOOLEAN,
    LIST,
    NEVER,
    NOTHING,
    NUMBER,
    TEXT,
    FirstOf,
    Guard,
    ListOf,
    MapOf,
    Plain,
    Shape,
    is_object,
    is_text,
    replace_members,
)

TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})


class _TypeName:
    """The name of a type.

    Those of Gemini's API are in upper case.
    """

    def repair(self, value: Any) -> Any:
        name = value.lower() if isinstance(value, str) else ""
        return NOTHING if name not in TYPES else value if value == name else name


@dataclass(slots=True)
class SubSchema:
    """A schema inside another; what is none says nothing, as `{}` does.

    `keywords` are the shapes of its members. They hold this shape itself, so they are set later.
    """

    keywords: Mapping[str, Shape] = field(default_factory=dict)

    def repair(self, value: Any) -> Any:
        """Return the schema with its members repaired."""
        if not isinstance(value, dict):
            return {"not": {}} if value is False else {}
        return replace_members(value, self.keywords.get)


class _CompiledSubSchema(SubSchema):
    """A schema that clients compile.

    For that a `nullable` must fit the type.
    """

    __slots__ = ()

    def repair(self, value: Any) -> Any:
        """Return the schema with its members repaired."""
        repaired = super().repair(value)
        if "nullable" not in repaired:
            return repaired
        kinds = repaired.get("type", [])
        if kinds and (repaired["nullable"] or "null" not in kinds):
            return repaired
        return {name: member for name, member in repaired.items() if name != "nullable"}


_TEXTS = ListOf(TEXT)

_VALUES: dict[str, Shape] = {
    **dict.fromkeys(("$anchor", "$comment", "$dynamicAnchor", "$dynamicRef", "$id", "$ref", "$schema"), TEXT),
    **dict.fromkeys(("contentEncoding", "contentMediaType", "description", "format", "pattern", "title"), TEXT),
    **dict.fromkeys(("deprecated", "nullable", "readOnly", "uniqueItems", "writeOnly"), BOOLEAN),
    **dict.fromkeys(("maxContains", "maximum", "maxItems", "maxLength", "maxProperties", "multipleOf"), NUMBER),
    **dict.fromkeys(("minContains", "minimum", "minItems", "minLength", "minProperties"), NUMBER),
    # Booleans in draft 4.
    **dict.fromkeys(("exclusiveMaximum", "exclusiveMinimum"), FirstOf(NUMBER, BOOLEAN)),
    "dependentRequired": MapOf(_TEXTS),
    "enum": LIST,
    "required": _TEXTS,
    "type": FirstOf(_TypeName(), ListOf(_TypeName())),
}
"""Keywords whose values are no schemas. `const`, `default` and `examples` are not here: they may be anything."""


def _keywords(schema: SubSchema) -> dict[str, Shape]:
    """Return the shapes of all keywords, for sub-schemas of one shape."""
    single = Guard(lambda value: isinstance(value, dict | bool), schema)
    # Booleans are common here, and clients know them.
    closed = FirstOf(Guard(is_object, schema), BOOLEAN)
    return {
        **_VALUES,
        **dict.fromkeys(("contains", "contentSchema", "else", "if", "not", "propertyNames", "then"), single),
        **dict.fromkeys(("additionalItems", "additionalProperties"), closed),
        **dict.fromkeys(("unevaluatedItems", "unevaluatedProperties"), closed),
        **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), ListOf(schema)),
        **dict.fromkeys(("$defs", "definitions", "dependentSchemas"), MapOf(schema)),
        **dict.fromkeys(("patternProperties", "properties"), MapOf(schema)),
        "dependencies": MapOf(FirstOf(single, _TEXTS)),
        "items": FirstOf(single, ListOf(schema)),  # a list before draft 2020-12
    }


def _input_schema() -> SubSchema:
    schema = SubSchema()
    schema.keywords = _keywords(schema)
    return schema


def _output_schema(reference: Shape) -> SubSchema:
    schema = _CompiledSubSchema()
    schema.keywords = {
        **_keywords(schema),
        **dict.fromkeys(("exclusiveMaximum", "exclusiveMinimum"), NUMBER),
        # A schema of the name `$id` is taken for an identifier by ajv, and `$async` schemas promise their verdict.
        "$defs": MapOf(schema, lambda name: name != "$id"),
        "$async": NEVER,
        "$id": Plain(is_identifier),
        "$ref": reference,
        "enum": Plain(lambda value: isinstance(value, list) and bool(value)),
        "id": NEVER,  # of draft 4: ajv refuses it
        "pattern": Plain(lambda value: is_text(value) and is_portable_pattern(value)),
        "patternProperties": MapOf(schema, is_portable_pattern),
    }
    return schema


INPUT_SCHEMA = _input_schema()
_RESOLVED = _output_schema(TEXT)


class OutputSchema:
    """The schema of structured results, which the TypeScript SDK 1.x compiles.

    One schema that does not compile costs its client the whole list.
    """

    def repair(self, value: Any) -> Any:
        """Return the schema with its members repaired."""
        if not isinstance(value, dict):
            return NOTHING
        references = References(value)
        all_resolve = references.resolve
        if not references.are_clear or (references.have_nested_ids and not all_resolve):
            return NOTHING
        shape = _RESOLVED if all_resolve else _output_schema(Plain(references.resolves))
        return shape.repair(value)
