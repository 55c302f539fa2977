"""Suggestions of similar names, for errors and for searches without hits."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from mcp_gateway.text.hints import LIST_ONE

_WORD = re.compile(r"[^\W_]{3,}")
_MAX_WORDS = 16
_LONGEST_WORD = 40
_SIMILAR = 60.0
_PARTLY_SIMILAR = 70.0
_MOST = 3


def find_similar_names(name: str, known: Iterable[str], count: int = _MOST) -> list[str]:
    """Return up to `count` known names similar to `name`, the nearest first.

    Case and punctuation are ignored.
    """
    from rapidfuzz import fuzz, process, utils  # imported late; fast enough for large catalogs

    found = process.extract(
        name, list(known), scorer=fuzz.ratio, processor=utils.default_process, limit=count, score_cutoff=_SIMILAR
    )
    return [candidate for candidate, *_ in found]


def format_suggestion(names: Collection[str]) -> str:
    """Format a "did you mean" question; empty without `names`.

    For example `did you mean 'x' or 'y'?`.
    """
    return f"did you mean {' or '.join(map(repr, names))}?" if names else ""


def suggest_word(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the nearest known word.

    A word that ends with -`word` counts as near. The text is empty if none is near.
    """
    known = list(known)
    near = find_similar_names(word, known, 1) or [other for other in known if other.endswith(f"-{word}")][:1]
    return f"; {format_suggestion(near)}" if near else ""


def suggest_with(word: str, known: Iterable[str], advice: str) -> str:
    """Return `; did you mean 'x'? advice`, or else `; advice`."""
    return f"{suggest_word(word, known) or ';'} {advice}"


def suggest_variable(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'X'?` for the nearest environment variable.

    The prefix that all have in common does not count.
    """
    variables = {_without_prefix(variable): variable for variable in known}
    near = find_similar_names(_without_prefix(name), variables, 1)
    return f"; {format_suggestion([variables[word] for word in near])}" if near else ""


def _without_prefix(variable: str) -> str:
    return variable.removeprefix("MCP_").removeprefix("GATEWAY_")


def format_no_match(text: str, servers: Iterable[str], tools: Iterable[str]) -> str:
    """Format the suggestions for a query without hits.

    They are in one line.
    """
    names = list(tools)
    if not names:
        return "there are no tools to search"
    near_servers, near_tools = _find_partly_similar(text, list(servers)), _find_partly_similar(text, names)
    hints = ["nothing matches; try other words"]
    if near_servers:
        hints.append(f"servers with such a name: {', '.join(near_servers)} ({LIST_ONE.for_models})")
    if near_tools:
        hints.append(f"tools with such a name: {', '.join(near_tools)}")
    return "; ".join(hints)


def _find_partly_similar(text: str, names: list[str]) -> list[str]:
    """Return the names that partly resemble a word of `text`."""
    from rapidfuzz import fuzz, process, utils

    found: dict[str, float] = {}
    words = [word for word in dict.fromkeys(_WORD.findall(text.lower())) if len(word) <= _LONGEST_WORD]
    # Each word is compared with every name, which takes ten milliseconds for ten thousand.
    for word in words[:_MAX_WORDS]:
        best = process.extract(
            word,
            names,
            scorer=fuzz.partial_ratio,
            processor=utils.default_process,
            limit=_MOST,
            score_cutoff=_PARTLY_SIMILAR,
        )
        for name, score, _ in best:
            found[name] = max(score, found.get(name, 0.0))
    return sorted(found, key=lambda name: (-found[name], name))[:_MOST]
