"""Regex ranker on RE2, with a time budget.

No pattern of a model can block it.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import anyio.to_thread

from mcp_gateway.plugin import Document, Hit, Hits, Label, Match, Query, QueryError, Ranker, RankerIndex
from mcp_gateway_ranker_regex.pattern import Pattern, compile_pattern

_FIELDS = (("name", 4.0), ("name", 4.0), ("description", 2.0), ("arguments", 1.0))
"""The weights of a match in the full name, the unqualified name, title and description, and arguments."""

_IN_A_THREAD = 100
"""From how many documents on a search runs in a thread, because it would block the event loop."""

MAX_TEXT = 5000
"""How many characters of a field are searched; a single RE2 call cannot be interrupted."""

SECONDS, SECONDS_A_TOOL = 0.5, 50e-6
"""The CPU time of a search: in all, or per tool if that is more. Most searches need a tenth of it."""

SEARCHES = 2
"""How many searches run at once; others wait, so that worker threads remain for other work."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool's id, and its texts in the order of _FIELDS."""

    id: str
    server: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ToolMatch:
    """A matching tool, with the matching fields of each alternative.

    `places` are the positions of the fields, by alternative.
    """

    tool: Tool
    field_positions: Mapping[int, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class RegexIndex:
    """The texts of every tool, by server."""

    servers: Mapping[str, tuple[Tool, ...]]
    limiter: anyio.CapacityLimiter

    async def search(self, query: Query) -> Hits:
        """Return the tools that match, best first.

        A tool ranks higher the more of the pattern's alternatives it matches, the rarer these are, and the closer to
        its name: for `commit|push` tools with both come first.
        """
        tools = [
            tool
            for server, held in self.servers.items()
            if not query.servers or server in query.servers
            for tool in held
        ]
        if len(tools) < _IN_A_THREAD:
            return _search_tools(tools, query)
        return await anyio.to_thread.run_sync(_search_tools, tools, query, limiter=self.limiter)

    async def refresh(self, changed: Mapping[str, Sequence[Document]]) -> RankerIndex:
        """Return an index with the tools of some servers replaced."""
        kept = {server: tools for server, tools in self.servers.items() if server not in changed}
        new = await anyio.to_thread.run_sync(_group_by_server, [item for held in changed.values() for item in held])
        return RegexIndex({**kept, **new}, self.limiter)


@dataclass(frozen=True, slots=True)
class RegexRanker:
    """Builder of indexes, which hold only the texts."""

    limiter: anyio.CapacityLimiter

    async def build(self, documents: Sequence[Document]) -> RankerIndex:
        """Build an index of the texts of `documents`."""
        return RegexIndex(await anyio.to_thread.run_sync(_group_by_server, tuple(documents)), self.limiter)


@asynccontextmanager
async def open_regex() -> AsyncIterator[Ranker]:
    """Open the ranker."""
    yield RegexRanker(anyio.CapacityLimiter(SEARCHES))


def _group_by_server(documents: Iterable[Document]) -> dict[str, tuple[Tool, ...]]:
    found: dict[str, list[Tool]] = {}
    same: dict[str, str] = {}  # shared, because many tools of a server have the same arguments
    for document in documents:
        texts = tuple(same.setdefault(text, text) for text in _texts(document))
        found.setdefault(document.server, []).append(Tool(document.id, document.server, texts))
    return {server: tuple(tools) for server, tools in found.items()}


def _texts(document: Document) -> tuple[str, ...]:
    arguments = "\n".join(f"{parameter.name} {parameter.text}" for parameter in document.parameters)
    described = f"{document.title}\n{document.description}".strip()
    return document.id, document.name, described[:MAX_TEXT], arguments[:MAX_TEXT]


def _search_tools(tools: Sequence[Tool], query: Query) -> Hits:
    pattern = compile_pattern(query.text)
    found = _match_tools(pattern, tools)
    matching = [0] * len(pattern.alternatives)
    for match in found:
        for alternative in match.field_positions:
            matching[alternative] += 1
    rarity = [math.log(1 + len(tools) / count) if count else 0.0 for count in matching]
    best = sorted(((-_score(match, rarity), match.tool.id, match) for match in found), key=lambda item: item[:2])
    hits = tuple(
        Hit(id=id_, score=-score, matches=_reasons(pattern, match, rarity) if query.explain else ())
        for score, id_, match in best[: query.limit]
    )
    whole = bool(best) and len(best[0][2].field_positions) == len(pattern.alternatives)
    label: Label = ("strong" if whole else "weak") if best else "none"
    return Hits(hits=hits, total=len(best), label=label, filtered=True)


def _match_tools(pattern: Pattern, tools: Sequence[Tool]) -> list[ToolMatch]:
    """Match every tool, unless that takes too long.

    The limit is CPU time of this thread, so that a busy machine does not count.
    """
    found: list[ToolMatch] = []
    # RE2 is linear in the text, but the factor depends on the pattern.
    end = time.thread_time() + max(SECONDS, len(tools) * SECONDS_A_TOOL)
    for searched, tool in enumerate(tools):
        if time.thread_time() > end:
            raise QueryError(
                f"the pattern takes too long: time was up after {searched} of {len(tools)} tools; "
                "leave out what begins or ends with '.*', use fewer alternatives, or search in plain words"
            )
        if match := _match_tool(pattern, tool):
            found.append(match)
    return found


def _match_tool(pattern: Pattern, tool: Tool) -> ToolMatch | None:
    """Return the fields that each alternative matches, if any does."""
    places: dict[int, tuple[int, ...]] = {}
    for place, text in enumerate(tool.texts):
        for alternative in pattern.find_alternatives(text):
            places[alternative] = (*places.get(alternative, ()), place)
    return ToolMatch(tool, places) if places else None


def _score(match: ToolMatch, rarity: Sequence[float]) -> float:
    """Sum the weights of the matching alternatives.

    `fsum` makes equal scores exactly equal, whatever the order of the alternatives.
    """
    return math.fsum(
        rarity[alternative] * _FIELDS[places[0]][1] for alternative, places in match.field_positions.items()
    )


def _reasons(pattern: Pattern, match: ToolMatch, rarity: Sequence[float]) -> tuple[Match, ...]:
    reasons = [
        Match(
            term=pattern.alternatives[alternative] or "(anything)",
            fields=tuple(dict.fromkeys(_FIELDS[place][0] for place in places)),
            score=rarity[alternative] * _FIELDS[places[0]][1],
        )
        for alternative, places in match.field_positions.items()
    ]
    return tuple(sorted(reasons, key=lambda reason: (-reason.score, reason.term)))
