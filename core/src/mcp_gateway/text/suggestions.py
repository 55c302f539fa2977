"""Suggestions of similar names for a search without hits.

They name servers and tools.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORD = re.compile(r"[^\W_]{3,}")
_NEAR = 70.0
_MOST = 3


def format_no_match(text: str, servers: Iterable[str], tools: Iterable[str]) -> str:
    """Format the suggestions for a query without hits.

    They are in one line.
    """
    names = list(tools)
    if not names:
        return "there are no tools to search"
    near_servers, near_tools = _similar_names(text, list(servers)), _similar_names(text, names)
    said = ["nothing matches; try other words"]
    if near_servers:
        said.append(f"servers with such a name: {', '.join(near_servers)} (discover_tools lists all of one's tools)")
    if near_tools:
        said.append(f"tools with such a name: {', '.join(near_tools)}")
    return "; ".join(said)


def _similar_names(text: str, names: list[str]) -> list[str]:
    """Return the names that partly resemble a word of `text`."""
    from rapidfuzz import fuzz, process, utils

    found: dict[str, float] = {}
    for word in dict.fromkeys(_WORD.findall(text.lower())):
        best = process.extract(
            word, names, scorer=fuzz.partial_ratio, processor=utils.default_process, limit=_MOST, score_cutoff=_NEAR
        )
        for name, score, _ in best:
            found[name] = max(score, found.get(name, 0.0))
    return sorted(found, key=lambda name: (-found[name], name))[:_MOST]
