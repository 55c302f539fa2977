"""Formatting of validation errors, naming the key, never the value.

Each error is one line, in our own words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

# Other text in the place of a key could be a secret in the wrong place.
_KEY = re.compile(r"[\w$.-]{1,64}|\[key\]")

_NUMBER, _WHOLE_NUMBER = "it must be a number", "it must be a whole number"
_FLAG, _TEXT = "it must be true or false", "it must be text"
_LIST, _OBJECT = "it must be a list", "it must be an object"
_URL = "it must be a whole URL, such as https://example.org/mcp"

_WORDS = {
    "bool_parsing": _FLAG,
    "bool_type": _FLAG,
    "dict_type": _OBJECT,
    "mapping_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "model_type": _OBJECT,
    "enum": "it must be one of {expected}",
    "extra_forbidden": "nobody reads this key",
    "finite_number": "it must be a finite number",
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "frozen_set_type": _LIST,
    "greater_than": "it must be more than {gt}",
    "greater_than_equal": "it must be {ge} or more",
    "int_from_float": _WHOLE_NUMBER,
    "int_parsing": _WHOLE_NUMBER,
    "int_parsing_size": "it is too large",
    "int_type": _WHOLE_NUMBER,
    "invalid_key": "its keys must be text",
    "less_than": "it must be less than {lt}",
    "less_than_equal": "it must be {le} or less",
    "list_type": _LIST,
    "literal_error": "it must be one of {expected}",
    "missing": "it is missing",
    "path_type": "it must be a path",
    "set_type": _LIST,
    "string_sub_type": _TEXT,
    "string_too_long": "it must have {max_length} characters or fewer",
    "string_too_short": "it must have {min_length} characters or more",
    "string_type": _TEXT,
    "string_unicode": "it must be Unicode text",
    "too_long": "it must have {max_length} or fewer",
    "too_short": "it must have {min_length} or more",
    "tuple_type": _LIST,
    "url_parsing": _URL,
    "url_scheme": "it must be a URL that begins with {expected_schemes}",
    "url_syntax_violation": _URL,
    "url_too_long": "it must be a URL of {max_length} characters or fewer",
    "url_type": _URL,
}
"""What is said of each kind of error; braces hold members of its context."""

_PATTERNS = {"^https?://": "it must begin with http:// or https://"}
"""What is said where a text must match a pattern."""

_ANYTHING = "it cannot be used as it is; the documentation says what it may be"


def format_validation_error(error: ValidationError) -> str:
    """Format a validation error with its keys.

    For example `port: it must be 65535 or less`.
    """
    problems = error.errors(include_input=False, include_url=False)
    lines = [f"{_path(problem['loc'])}{_describe(problem)}" for problem in problems]
    # Of a value that may have several types there is one error for each.
    return "; ".join(dict.fromkeys(lines))


def _path(location: tuple[int | str, ...]) -> str:
    """Return the path of a key, hiding possible secrets.

    A key that does not look like one may be a value in the wrong place.
    """
    parts = (str(part) if _KEY.fullmatch(str(part)) else "(a key that is not shown)" for part in location)
    return "".join(f"{part}." for part in parts).removesuffix(".") + (": " if location else "")


def _describe(problem: Mapping[str, Any]) -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    if kind in {"value_error", "assertion_error"}:  # raised by our own checks, in our own words
        return str(context.get("error") or problem["msg"].partition(", ")[2] or _ANYTHING)
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(context["pattern"], "it has characters that are not allowed there")
    words = _WORDS.get(kind, _ANYTHING)
    try:
        return words.format(**{name: _plain(value) for name, value in context.items()})
    except KeyError:
        return _ANYTHING


def _plain(value: object) -> str:
    """Write a bound as a person does: 3, not 3.0."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
