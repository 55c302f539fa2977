"""The check of arguments against a tool's schema, before they are sent.

Regular expressions stay the server's: those of JSON Schema are of another dialect than Python's, and one that a server
made to take for ever would hang the command. Nothing is fetched, and the work is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mcp_gateway.text.suggestions import suggest_word
from mcp_gateway_cli.calls.schema_types import describe_type, properties_of, required_of, resolve, type_name

Json = dict[str, Any]

_MAX_STEPS = 100_000
"""How many keywords of a schema may be looked at."""

_MAX_PROBLEMS = 5
_MAX_MESSAGE = 200
_PATTERNS = "patternProperties"
_OTHERS = frozenset({"additionalProperties", "unevaluatedProperties", "allOf", "anyOf", "oneOf", "if", _PATTERNS})
"""The keywords that say what of names that `properties` does not mention."""

_MAX_DEPTH = 8


class SchemaUnusable(Exception):
    """The schema cannot be used, and why."""


def find_argument_problems(arguments: Json, schema: Json) -> list[str]:
    """Return what of the arguments does not fit the schema.

    Raises:
        SchemaUnusable: the schema is wrong, or takes too long.

    """
    from itertools import islice

    try:
        errors = list(islice(_make_validator(schema).iter_errors(arguments), _MAX_PROBLEMS))
        problems = [line for error in errors for line in _describe(error, schema)]
    except SchemaUnusable:
        raise
    except Exception as error:  # a border: the schema is foreign, and may be anything
        raise SchemaUnusable(str(error).partition("\n")[0][:_MAX_MESSAGE] or type(error).__name__) from error
    return list(dict.fromkeys(problems))


def find_unlisted(arguments: Json, schema: Json) -> list[str]:
    """Return the names that an open schema does not mention, with suggestions.

    The server may take them all the same. Where the schema says itself what of other names, there are none.
    """
    return list(dict.fromkeys(_walk_unlisted(arguments, schema, schema)))


def _walk_unlisted(value: object, schema: object, root: Json, *path: str) -> Iterator[str]:
    found = resolve(schema, root)
    if isinstance(value, list):
        for item in value:
            yield from _walk_unlisted(item, found.get("items"), root, *path)
    elif isinstance(value, dict) and len(path) <= _MAX_DEPTH:
        if not _takes_others(found):
            yield from _list_unlisted(value, found, ".".join(path))
        inner = properties_of(found)
        for name in (one for one in value if one in inner):
            yield from _walk_unlisted(value[name], inner[name], root, *path, name)


def _takes_others(schema: Json) -> bool:
    """Whether a schema says itself what of other names."""
    return not _OTHERS.isdisjoint(schema)


def _make_validator(schema: Json) -> Any:
    from jsonschema import validators
    from referencing import Registry

    kind = validators.validator_for(schema, default=validators.Draft202012Validator)
    steps = iter(range(_MAX_STEPS))

    def count(check: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
        def check_counted(*given: Any) -> Iterator[Any]:
            if next(steps, None) is None:
                raise SchemaUnusable("it takes too many steps")
            yield from check(*given) or ()

        return check_counted

    checks = {keyword: count(check) for keyword, check in kind.VALIDATORS.items()}
    extended = validators.extend(kind, checks | _REPLACED | {"additionalProperties": count(_check_additional(kind))})
    # An empty registry: a reference to another document must not be fetched.
    return extended(_without_dialects(schema), registry=Registry())


def _skip(*_: Any) -> None:
    """Leave a keyword to the server."""


_REPLACED: Json = dict.fromkeys(("pattern", _PATTERNS, "unevaluatedProperties", "format"), _skip)


def _check_additional(kind: Any) -> Callable[..., Any]:
    original = kind.VALIDATORS["additionalProperties"]

    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        return () if _PATTERNS in schema else original(validator, value, instance, schema)

    return check


def _without_dialects(schema: Any) -> Any:
    """Remove `$schema` everywhere: inside, it would bring back the usual checks."""
    if isinstance(schema, dict):
        kept = {key: value for key, value in schema.items() if key != "$schema" or not isinstance(value, str)}
        return {key: _without_dialects(value) for key, value in kept.items()}
    return [_without_dialects(item) for item in schema] if isinstance(schema, list) else schema


def _describe(error: Any, root: Json) -> list[str]:
    """Return sentences for what is wrong in one place."""
    place, inner = ".".join(map(str, error.absolute_path)), error.schema
    if error.validator == "required":
        missing = [name for name in required_of(inner) if name not in error.instance]
        known = properties_of(inner)
        sentences = [f"{_join(place, name)} is missing{_explain(known.get(name), root)}" for name in missing]
        # It may be there under a name that is nearly right.
        return [*sentences, *(f"there is no argument {name}" for name in _list_unlisted(error.instance, inner, place))]
    if error.validator == "additionalProperties":
        return [f"there is no argument {name}" for name in _list_unlisted(error.instance, inner, place)]
    named = _join(place) if place else "the arguments"
    if error.validator in ("type", "enum", "const", "anyOf", "oneOf"):
        return [f"{named} must be {describe_type(inner, root)}, not {type_name(error.instance)}"]
    return [f"{named}: {error.message[:_MAX_MESSAGE]}"]


def _list_unlisted(instance: Json, schema: Json, place: str) -> list[str]:
    known = properties_of(schema)
    more = [name for name in instance if name not in known] if known and _PATTERNS not in schema else []
    return [f"{_join(place, name)}{suggest_word(name, known)}" for name in more]


def _join(*steps: str) -> str:
    return repr(".".join(step for step in steps if step))


def _explain(schema: object, root: Json) -> str:
    about = resolve(schema, root).get("description")
    words = " ".join(about.split())[:_MAX_MESSAGE] if isinstance(about, str) else ""
    return f" ({describe_type(schema, root)}{f': {words}' if words else ''})"
