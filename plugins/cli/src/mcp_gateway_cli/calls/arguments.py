"""The arguments of a call, as a person writes them.

`KEY=VALUE` is read by the type that the tool's schema names, `KEY:=JSON` as JSON; a JSON object and `-`, for one on
standard input, may stand in front of them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mcp_gateway.plugin import UsageError
from mcp_gateway_cli.calls.schema_types import describe_type, properties_of, resolve, type_name, types_of

Json = dict[str, Any]

_PAIR = re.compile(r"(?P<key>[^=]+?)(?P<sign>:?=)(?P<value>.*)", re.DOTALL)
_ANYTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Pair:
    """A `KEY=VALUE` or, with `is_json`, a `KEY:=JSON`."""

    key: str
    value: str
    is_json: bool


@dataclass(frozen=True, slots=True)
class GivenArguments:
    """The arguments as they were given: an object, and pairs."""

    base: Json
    pairs: tuple[Pair, ...]


def read_words(words: Sequence[str]) -> GivenArguments:
    """Read the words of a command line.

    Raises:
        UsageError: a word is neither a pair nor a JSON object.

    """
    base: Json = {}
    pairs = []
    for place, word in enumerate(words):
        is_object = word == "-" or word.lstrip()[:1] in ("{", "[")
        if is_object and place == 0:
            base = _read_object(word)
        elif (found := _PAIR.fullmatch(word)) and not is_object:
            pairs.append(Pair(found["key"], found["value"], is_json=found["sign"] == ":="))
        else:
            where = "; a JSON object comes first" if is_object else ""
            raise UsageError(f"{word!r} is neither KEY=VALUE nor KEY:=JSON nor a JSON object{where}")
    return GivenArguments(base, tuple(pairs))


def apply_schema(given: GivenArguments, schema: Json) -> Json:
    """Return the arguments, with the values of pairs read by their types.

    Raises:
        UsageError: a value is not of the type that the schema names.

    """
    arguments = dict(given.base)
    written: set[str] = set()
    for pair in given.pairs:
        path, wanted = _find_property(pair.key, schema)
        holder = arguments
        for step in path[:-1]:
            inner = holder.get(step)
            holder[step] = holder = dict(inner) if isinstance(inner, dict) else {}
        value = _read_value(pair, wanted, schema)
        if pair.key in written:
            value = _append(pair, holder[path[-1]], value, types_of(wanted, schema))
        holder[path[-1]] = value
        written.add(pair.key)
    return arguments


def _read_object(word: str) -> Json:
    text: str | bytes = word
    if word == "-":
        text = sys.stdin.buffer.read() if sys.stdin is not None else b""
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        advice = "" if word == "-" else "; a shell that takes quotes away may pipe them to '-' instead"
        raise UsageError(f"the arguments are not JSON: {error.msg} at character {error.pos}{advice}") from None
    except UnicodeDecodeError:
        raise UsageError("the arguments are not UTF-8") from None
    except UnicodeEncodeError:
        raise UsageError("the arguments hold half of a pair such as \\ud83d\\ude00: write both halves") from None
    except RecursionError:
        raise UsageError("the arguments are nested too deeply") from None
    if not isinstance(value, dict):
        raise UsageError('the arguments must be a JSON object, such as {"timezone": "UTC"}')
    return value


def _find_property(key: str, schema: Json) -> tuple[list[str], Json]:
    """Return the path of a key, and the schema at its end.

    A dot leads into an object, unless a property is called so.
    """
    known = properties_of(schema)
    path = key.split(".")
    if key in known or path[0] not in known or not all(path):
        return [key], resolve(known.get(key), schema)
    found = resolve(known[path[0]], schema)
    for step in path[1:]:
        found = resolve(properties_of(found).get(step), schema)
    return path, found


def _read_value(pair: Pair, wanted: Json, root: Json) -> Any:
    types = types_of(wanted, root)
    is_json, parsed = _parse_json(pair.value)
    if pair.is_json:
        if not is_json:
            raise UsageError(f"{pair.key!r}: what follows := is not JSON: write {pair.key}=TEXT for text")
        return parsed
    if types == _ANYTHING:
        return parsed if is_json else pair.value
    if is_json and not isinstance(parsed, str) and _is_of(parsed, types):
        return parsed
    if "string" in types:
        return pair.value
    if "array" in types:
        return [_read_value(Pair(pair.key, pair.value, is_json=False), resolve(wanted.get("items"), root), root)]
    raise UsageError(f"{pair.key!r} must be {describe_type(wanted, root)}, not {pair.value!r}")


def _parse_json(text: str) -> tuple[bool, Any]:
    try:
        return True, json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False, None


def _refuse(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are no JSON


def _is_of(value: object, types: frozenset[str]) -> bool:
    name = type_name(value)
    return name in types or (name == "integer" and "number" in types)


def _append(pair: Pair, before: Any, value: Any, types: frozenset[str]) -> Any:
    if isinstance(before, list) and "array" in types:
        return [*before, *(value if isinstance(value, list) else [value])]
    raise UsageError(f"{pair.key!r} is given twice")
