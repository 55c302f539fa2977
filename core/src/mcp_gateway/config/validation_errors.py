"""Formatting of validation errors, naming the key, never the value.

Each error is one line.
"""

from __future__ import annotations

import re

from pydantic import ValidationError

# Other text in the place of a key could be a secret in the wrong place.
_KEY = re.compile(r"[\w$.-]{1,64}|\[key\]")
_PLAINER = {"missing": "it is missing", "url_parsing": "it must be a whole URL, such as https://example.org/mcp"}


def format_validation_error(error: ValidationError) -> str:
    """Format a validation error with its keys.

    For example `port: Input should be less than or equal to 65535`.
    """
    problems = error.errors(include_input=False, include_url=False)
    return "; ".join(f"{_path(problem['loc'])}{_message(problem['type'], problem['msg'])}" for problem in problems)


def _path(location: tuple[int | str, ...]) -> str:
    """Return the path of a key, hiding possible secrets.

    A key that does not look like one may be a value in the wrong place.
    """
    parts = (str(part) if _KEY.fullmatch(str(part)) else "(a key that is not shown)" for part in location)
    return "".join(f"{part}." for part in parts).removesuffix(".") + (": " if location else "")


def _message(kind: str, message: str) -> str:
    return _PLAINER.get(kind) or message.removeprefix("Value error, ")
