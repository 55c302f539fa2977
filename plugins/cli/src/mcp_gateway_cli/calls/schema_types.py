"""The types that a JSON Schema permits, for people and for reading."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

_MAX_DEPTH = 8
_MAX_CHOICES = 12
_PYTHON_TYPES = {"string": str, "boolean": bool, "integer": int, "number": float, "array": list, "object": dict}


def properties_of(schema: object) -> Json:
    """Return the properties of an object's schema."""
    found = schema.get("properties") if isinstance(schema, dict) else None
    return found if isinstance(found, dict) else {}


def required_of(schema: object) -> list[str]:
    """Return the names of the properties that must be there."""
    found = schema.get("required") if isinstance(schema, dict) else None
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def resolve(schema: object, root: object, depth: int = 0) -> Json:
    """Follow the references of a schema within its root.

    A reference that leads nowhere is the schema that permits anything.
    """
    if not isinstance(schema, dict):
        return {}
    reference = schema.get("$ref")
    if not isinstance(reference, str) or depth > _MAX_DEPTH:
        return schema
    target: object = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        target = target.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(target, dict) else None
    return resolve(target, root, depth + 1)


def types_of(schema: object, root: object, depth: int = 0) -> frozenset[str]:
    """Return the names of the permitted types; none if any is."""
    schema = resolve(schema, root)
    declared = schema.get("type")
    if isinstance(declared, str):
        return frozenset({declared})
    if isinstance(declared, list):
        return frozenset(name for name in declared if isinstance(name, str))
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    if isinstance(values, list) and values:
        return frozenset(type_name(value) for value in values)
    options = _options_of(schema)
    if not options or depth > _MAX_DEPTH:
        return frozenset()
    found = [types_of(option, root, depth + 1) for option in options]
    return frozenset().union(*found) if all(found) else frozenset()


def type_name(value: object) -> str:
    """Return the JSON type of a value."""
    return next((name for name, kind in _PYTHON_TYPES.items() if isinstance(value, kind)), "null")


def describe_type(schema: object, root: object, depth: int = 0) -> str:
    """Describe what a schema permits, in a few words."""
    schema = resolve(schema, root)
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if isinstance(values, list) and values:
        return " | ".join(_describe_values(values))
    options = _options_of(schema)
    if options and depth < _MAX_DEPTH:
        return " or ".join(dict.fromkeys(describe_type(option, root, depth + 1) for option in options))
    types = sorted(types_of(schema, root)) or ["anything"]
    words = " or ".join(types)
    if types == ["array"] and isinstance(schema.get("items"), dict) and depth < _MAX_DEPTH:
        words = f"array of {describe_type(schema['items'], root, depth + 1)}"
    return f"{words}{_describe_bounds(schema)}"


def _options_of(schema: Mapping[str, Any]) -> list[object]:
    found = schema.get("anyOf", schema.get("oneOf"))
    return found[:_MAX_CHOICES] if isinstance(found, list) else []


def _describe_values(values: list[object]) -> list[str]:
    shown = [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in values]
    return shown if len(shown) <= _MAX_CHOICES else [*shown[:_MAX_CHOICES], "…"]


def _describe_bounds(schema: Mapping[str, Any]) -> str:
    minimum, maximum, form = schema.get("minimum"), schema.get("maximum"), schema.get("format")
    bounds = f", {form}" if isinstance(form, str) else ""
    if isinstance(minimum, int | float):
        bounds += f" from {minimum}"
    return f"{bounds} to {maximum}" if isinstance(maximum, int | float) else bounds
