"""Problems in words: one line each, naming the key and never the value."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from pydantic import ValidationError


def in_words(error: ValidationError) -> str:
    """Say what is wrong with which key: `port: Input should be less than or equal to 65535`."""
    return "; ".join(
        f"{_path(problem['loc'])}: {_message(problem['msg'])}"
        for problem in error.errors(include_input=False, include_url=False)
    )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?`, or nothing if no known word is near."""
    close = get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location)) or "value"


def _message(message: str) -> str:
    return message.removeprefix("Value error, ")
