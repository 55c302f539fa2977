"""Queries of models: their bounds, and those that ask for all tools."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_QUERY = 2000
"""How many characters of words are searched."""

MAX_PATTERN = 200
"""How many characters a regular expression may have."""

# The last four end sentences in Chinese and Japanese.
_SENTENCE_END = re.compile(r"[.!?;\u2026][\"')\]]*(?=\s)|[\u3002\uff01\uff1f\uff1b]|\n")
_SPACE = re.compile(r"\s")
_ALL = re.compile(
    r"(?:(?:please|can you|could you|do you have|give|show|list|get|find|display|enumerate|what|which|me|us|are|is"
    r"|there|all|every|everything|any|available|of|the|your|its|their|tools?|functions?|capabilities|servers?)\b[\s.!?:]*)+",
    re.IGNORECASE,
)
_WHOLE = re.compile(r"\b(?:all|every|everything|available|list|tools|functions|capabilities|servers)\b", re.IGNORECASE)
_ANYTHING = frozenset({"", "*", "**", "*.*", "**/*", "%", "?", ".", ".*", ".+", ".*?", "^.*$", "^.+$", "(.*)", "(.+)"})

_TOKEN = re.compile(
    r"\\[pP]\{[^}]*\}|\\x\{[^}]*\}|\\u[0-9a-fA-F]{4}|\\.|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]|\(\?P?<\w+>|\(\?[a-zA-Z-]*:?\)?"
    r"|\{\d*,?\d*\}[?+]?|[*+?][?+]?|.",
    re.DOTALL,
)
_QUANTIFIERS = frozenset("*+?{")


@dataclass(frozen=True, slots=True)
class FittedQuery:
    """A query within its bounds; `hint` says that it was cut."""

    text: str
    hint: str = ""


def fit_query(text: str, *, is_pattern: bool) -> FittedQuery:
    """Cut a query that is too long.

    Words are cut at a sentence, patterns at a `|`.
    """
    limit = MAX_PATTERN if is_pattern else MAX_QUERY
    text = text if is_pattern else text.strip()
    if len(text) <= limit:
        return FittedQuery(text)
    kept = cut_pattern(text, limit) if is_pattern else cut_words(text, limit)
    advice = (
        "use fewer alternatives, or plain words" if is_pattern else "say in a sentence or two what the tool should do"
    )
    return FittedQuery(
        kept, f"the query has {len(text):,} characters, of which only the first {len(kept):,} were searched; {advice}"
    )


def matches_anything(text: str) -> bool:
    """Whether a query says nothing, as `*`, `.*` or an empty one."""
    return text.strip() in _ANYTHING


def asks_for_all(text: str) -> bool:
    """Whether a query asks for all tools rather than for some.

    Such are `*` and `list all tools`, but not `list all issues`.
    """
    if matches_anything(text):
        return True
    return len(text) <= MAX_PATTERN and _ALL.fullmatch(text.strip()) is not None and _WHOLE.search(text) is not None


def cut_words(text: str, limit: int) -> str:
    """Cut a text after a sentence, or else between words."""
    ends = [found.end() for found in _SENTENCE_END.finditer(text, 0, limit + 1) if found.end() <= limit]
    if ends and ends[-1] > limit // 2:
        return text[: ends[-1]].rstrip()
    spaces = [found.start() for found in _SPACE.finditer(text, 0, limit + 1)]
    return text[: spaces[-1]].rstrip() if spaces and spaces[-1] > limit // 2 else text[:limit]


def cut_pattern(text: str, limit: int) -> str:
    """Cut a regular expression before a `|`, and close its groups.

    Without a `|` it is cut between two tokens.
    """
    bars, tokens = "", ""
    for end, depth, before_bar in _ends(text):
        if end + depth > limit:
            break
        tokens = text[:end] + ")" * depth
        bars = tokens if before_bar else bars
    # A class of characters may be longer than that by itself.
    return bars or tokens or (f"{text[: limit - 1]}]" if text.startswith("[") else text[:limit])


def _ends(text: str) -> Iterator[tuple[int, int, bool]]:
    """Yield where a pattern may end.

    With it come the number of open groups, and whether `|` follows.
    """
    depth, end = 0, 0
    for token in _TOKEN.finditer(text):
        piece = token[0]
        if piece[0] not in _QUANTIFIERS and end:
            yield end, depth, piece == "|"
        depth += (piece[0] == "(" and not piece.endswith(")")) - (piece == ")")
        depth, end = max(depth, 0), token.end()
