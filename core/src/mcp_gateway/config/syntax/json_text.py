"""JSON as editors write it: with comments and trailing commas."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from mcp_gateway.config.syntax.json_mistakes import JSON_STRING, JSON_TOKEN, explain_mistake
from mcp_gateway.config.syntax.picture import describe_place, describe_repeated, line_and_column
from mcp_gateway.plugin import ConfigError

_COMMENT = re.compile(rf"{JSON_STRING}|//[^\n]*|/\*(?:[^*]|\*(?!/))*(?:\*/|\Z)")
_TRAILING_COMMA = re.compile(rf"{JSON_STRING}|,(?=\s*[}}\]])")


def parse_json(text: str) -> tuple[Any, list[str]]:
    """Parse JSON with comments and trailing commas; return it with warnings.

    Of a key that stands twice the last one counts, as in other programs; it is a warning.

    Raises:
        ConfigError: it is not JSON; the message has line, column and a picture.

    """
    twice: set[str] = set()

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            twice.update(_find_repeated(key for key, _ in pairs))
        return made

    try:
        value = _load(text, build)
    except json.JSONDecodeError:
        plain = _blank(_COMMENT, text)
        plain = _blank(_TRAILING_COMMA, plain)
        try:
            value = _load(plain, build)
        except json.JSONDecodeError as error:
            position, words = explain_mistake(text, plain, error)
            raise ConfigError(describe_place(text, position, f"{words} (the file is not JSON)")) from None
        text = plain
    return value, list(_describe_repeated(text)) if twice else []


def _load(text: str, build: Any) -> Any:
    def refuse(name: str) -> NoReturn:
        raise json.JSONDecodeError("Expecting value", text, max(text.find(name), 0))

    return json.loads(text, object_pairs_hook=build, parse_constant=refuse)


def _blank(pattern: re.Pattern[str], text: str) -> str:
    """Replace all but strings by spaces, so that places stay."""

    def replace(match: re.Match[str]) -> str:
        return match[0] if match[0].startswith('"') else re.sub(r"[^\n]", " ", match[0])

    return pattern.sub(replace, text)


def _find_repeated(keys: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            yield key
        seen.add(key)


def _describe_repeated(text: str) -> Iterator[str]:
    """Yield a warning for each key that stands twice in one object."""
    levels: list[dict[str, int] | None] = []
    key: tuple[str, int] | None = None
    for token in JSON_TOKEN.finditer(text):
        mark = token[0]
        if mark in "{[":
            levels.append({} if mark == "{" else None)
        elif mark in "}]":
            levels.pop()
        elif mark == ":" and key is not None and levels and (seen := levels[-1]) is not None:
            name, line = key
            if name in seen:
                yield describe_repeated(name, seen[name], line)
            seen[name] = line
        key = None
        if mark.startswith('"'):
            key = json.loads(mark), line_and_column(text, token.start())[0]
