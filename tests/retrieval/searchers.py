"""The searchers that are compared: every installed ranker, and what else there is."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

import anyio.to_thread

from mcp_gateway.catalog.search_documents import document_from_definition
from mcp_gateway.plugin import Bound, Document, Query, Ranker, RankerContext
from mcp_gateway.search.queries import fit_query

Tools = list[dict[str, Any]]
Find = Callable[[str, int], Awaitable[list[str]]]
"""Finds the names of tools for a query, best first, so many at the most."""


class Searcher(Protocol):
    """Indexes tools, and returns what finds them."""

    async def __call__(self, tools: Tools, /) -> Find: ...


@asynccontextmanager
async def ranker(name: str, bound: Bound[Ranker], around: RankerContext) -> AsyncIterator[Searcher]:
    """Open an installed ranker, by the plugin API, as the gateway does."""
    async with bound.open_in(around) as opened:

        async def index(tools: Tools, /) -> Find:
            built = await opened.build(await anyio.to_thread.run_sync(_documents, tools))

            async def find(text: str, limit: int) -> list[str]:
                words = fit_query(text, is_pattern=False).text
                asked = Query(text=_pattern(text) if name == "regex" else words, limit=limit)
                return [hit.id for hit in (await built.search(asked)).hits]

            return find

        yield index


def _documents(tools: Tools) -> list[Document]:
    return [document_from_definition(tool["server"], tool, tool["id"]) for tool in tools]


def installed() -> Mapping[str, Bound[Ranker]]:
    """Return every installed ranker by its name."""
    return RankerContext.from_installed().rankers


def _pattern(text: str) -> str:
    """Write a query as a model writes it for `use_regex`: its longer words, any of which will do."""
    words = dict.fromkeys(word for word in re.findall(r"[^\W_]{4,}", text.lower()))
    return "|".join(words) or "^$"


def _plain(tool: dict[str, Any]) -> list[str]:
    return f"{tool['name']} {tool['description'] or ''}".lower().split()


async def rank_bm25(tools: Tools, /) -> Find:
    """Index with rank_bm25 as its README shows it: names and descriptions, split at white space."""
    from rank_bm25 import BM25Okapi

    model = BM25Okapi([_plain(tool) or [""] for tool in tools])

    async def find(text: str, limit: int) -> list[str]:
        scores = model.get_scores(text.lower().split())
        return [
            tools[at]["id"] for at in sorted(range(len(tools)), key=lambda at: -scores[at])[:limit] if scores[at] > 0
        ]

    return find


async def bm25s(tools: Tools, /) -> Find:
    """Index with bm25s as its README shows it: its own tokenizer, English stop words, Snowball stems."""
    import bm25s as library
    import snowballstemmer

    stems = snowballstemmer.stemmer("english").stemWords

    def tokens(texts: list[str]) -> list[list[str]]:
        found = library.tokenize(texts, stopwords="en", stemmer=stems, show_progress=False, return_ids=False)
        return [list(item) for item in found]

    model = library.BM25()
    model.index(tokens([f"{tool['name']} {tool['description'] or ''}" for tool in tools]), show_progress=False)

    async def find(text: str, limit: int) -> list[str]:
        asked = tokens([text])
        if not asked[0]:
            return []
        places, scores = model.retrieve(asked, k=min(limit, len(tools)), show_progress=False)
        return [tools[at]["id"] for at, score in zip(places[0], scores[0], strict=True) if score > 0]

    return find


async def fastmcp(tools: Tools, /) -> Find:
    """Index with FastMCP's search transform, as it searches the tools of a server."""
    from fastmcp.server.transforms.search import BM25SearchTransform
    from fastmcp.tools.base import Tool

    made = [
        Tool(name=tool["id"], description=tool["description"], parameters=tool.get("inputSchema") or {"type": "object"})
        for tool in tools
    ]
    transform = BM25SearchTransform(max_results=10)

    async def find(text: str, limit: int) -> list[str]:
        return [tool.name for tool in (await transform._search(made, text))[:limit]]

    return find


OTHERS: Mapping[str, Searcher] = {"rank_bm25 (plain)": rank_bm25, "bm25s": bm25s, "FastMCP 4": fastmcp}
"""What there is beside our rankers. Those that are not installed are left out."""
