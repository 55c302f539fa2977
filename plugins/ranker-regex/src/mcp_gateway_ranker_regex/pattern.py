"""Patterns in the syntax of Python's `re`, translated for RE2.

The patterns are written by models. Each top-level alternative is matched separately.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import re2

from mcp_gateway.plugin import QueryError

# Bounded, because counted repetitions make a large program from a short pattern.
_MAX_PROGRAM_BYTES = 4 << 20

_TOKEN = re.compile(r"\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8}|\\.|\[\^?\]?|.", re.DOTALL)
_FLAGS = re.compile(r"\(\?[a-zA-Z-]+\)")
_WRAPPED = re.compile(r"\((?:\?:)?(.*)\)", re.DOTALL)

_OUTSIDE = {"\\w": r"[\pL\pN_]", "\\W": r"[^\pL\pN_]", "\\d": r"\p{Nd}", "\\D": r"\P{Nd}", "\\Z": r"\z"}
_INSIDE = {"\\w": r"\pL\pN_", "\\d": r"\p{Nd}", "\\D": r"\P{Nd}"}
"""Classes that are Unicode in Python but ASCII in RE2, with their translation."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern with its top-level alternatives.

    The alternatives are as written; `set` matches all of them at once.
    """

    alternatives: tuple[str, ...]
    set: Any

    def find_alternatives(self, text: str) -> frozenset[int]:
        """Return which alternatives match anywhere in `text`, as numbers into `alternatives`."""
        return frozenset(self.set.Match(text) or ())


def compile_pattern(text: str) -> Pattern:
    """Compile a pattern, case-insensitive unless it has `(?-i)`.

    Raises:
        QueryError: the pattern is invalid, or cannot be matched in linear time.

    """
    flags = _FLAGS.match(text)
    began = flags.group() if flags else ""
    translated, written = _to_re2(text), _top_level_alternatives(text[len(began) :])
    try:
        # The whole pattern first, so that an error has the position in the model's own text.
        re2.compile(translated, _options())
        found = re2.Set.SearchSet(_options())
        for alternative in written:
            found.Add(began + _to_re2(alternative))
        found.Compile()
    except UnicodeEncodeError:
        raise QueryError("not a regular expression: there is half of a character (a lone surrogate) in it") from None
    except re2.error as error:
        raise _pattern_error(error) from None
    return Pattern(written, found)


def _options() -> Any:
    options = re2.Options()
    options.case_sensitive = False
    # Otherwise RE2 writes errors to standard error.
    options.log_errors = False
    options.max_mem = _MAX_PROGRAM_BYTES
    return options


def _pattern_error(error: Any) -> QueryError:
    message = error.args[0] if error.args else error
    reason = message.decode(errors="replace") if isinstance(message, bytes) else str(message)
    return QueryError(
        f"not a regular expression that can be used here: {reason}; Python syntax works except for "
        "look-around and back-references, or search in plain words with use_regex false"
    )


def _top_level_alternatives(text: str) -> tuple[str, ...]:
    """Return the top-level alternatives of a pattern.

    A pattern that is one group as a whole is unwrapped first.
    """
    found = list(_split_alternatives(text))
    if len(found) == 1 and (group := _WRAPPED.fullmatch(text)) and not group[1].startswith("?"):
        inside = list(_split_alternatives(group[1]))
        if all(_is_balanced(part) for part in inside):
            found = inside
    return tuple(dict.fromkeys(part for part in found if part)) or (text,)


def _split_alternatives(text: str) -> Iterator[str]:
    """Split at every `|` outside of groups and classes."""
    part, depth = "", 0
    for piece, in_class in _iter_tokens(text):
        if piece == "|" and not depth and not in_class:
            yield part
            part = ""
            continue
        if not in_class:
            depth += (piece == "(") - (piece == ")")
        part += piece
    yield part


def _is_balanced(text: str) -> bool:
    """Whether the groups in `text` are balanced.

    `a)(b` is not the inside of one group: its first group is closed before it is opened.
    """
    depth = 0
    for piece, in_class in _iter_tokens(text):
        if not in_class:
            depth += (piece == "(") - (piece == ")")
            if depth < 0:
                return False
    return depth == 0


def _iter_tokens(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the characters, and whether each is in a class.

    An escape sequence is one piece.
    """
    in_class, at = False, 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        piece = found.group() if found else text[at]
        if in_class and piece.startswith("["):
            piece = "["
        at += len(piece)
        yield piece, in_class
        if piece.startswith("[") and not in_class:
            in_class = True
        elif piece == "]" and in_class:
            in_class = False


def _to_re2(text: str) -> str:
    """Translate a pattern to RE2 with Python's meaning."""
    return "".join(_piece_to_re2(piece, in_class=in_class) for piece, in_class in _iter_tokens(text))


def _piece_to_re2(piece: str, *, in_class: bool) -> str:
    if piece[:2] in ("\\u", "\\U") and len(piece) > len("\\u"):
        return f"\\x{{{piece[2:]}}}"
    return (_INSIDE if in_class else _OUTSIDE).get(piece, piece)
