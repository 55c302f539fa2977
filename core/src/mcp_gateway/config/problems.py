"""Problems in words: one line each, naming the key and never the value."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from pydantic import ValidationError

_KEY = re.compile(r"[\w$.-]{1,64}|\[key\]")
_PLAINER = {"missing": "it is missing", "url_parsing": "it must be a whole URL, such as https://example.org/mcp"}


def in_words(error: ValidationError) -> str:
    """Say what is wrong with which key: `port: Input should be less than or equal to 65535`."""
    problems = error.errors(include_input=False, include_url=False)
    return "; ".join(f"{_path(problem['loc'])}{_message(problem['type'], problem['msg'])}" for problem in problems)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for a known word that is near, or that ends with -`word`; else nothing."""
    known = list(known)
    close = get_close_matches(word, known, n=1) or [other for other in known if other.endswith(f"-{word}")]
    return f"; did you mean {close[0]!r}?" if close else ""


def _path(location: tuple[int | str, ...]) -> str:
    """Return the key's path. A key that is none, but a value in the wrong place, may be a secret."""
    parts = (str(part) if _KEY.fullmatch(str(part)) else "(a key that is not shown)" for part in location)
    return "".join(f"{part}." for part in parts).removesuffix(".") + (": " if location else "")


def _message(kind: str, message: str) -> str:
    return _PLAINER.get(kind) or message.removeprefix("Value error, ")
