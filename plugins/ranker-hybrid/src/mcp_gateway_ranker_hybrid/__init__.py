"""Hybrid ranker: lexical and semantic scores fused.

The lexical scores are those of another ranker; the semantic ones come from a small local embedding model.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager

from pydantic import Field

from mcp_gateway.plugin import Options, Provider, Ranker, RankerContext, hookimpl

GATEWAY_API = 1

NAME = "hybrid"


class HybridOptions(Options):
    """Options of the hybrid ranker, from the environment."""

    words: str = Field("bm25", alias="GATEWAY_HYBRID_WORDS", description="The ranker that `hybrid` adds meaning to")


def hybrid_ranker(options: HybridOptions, context: RankerContext | None = None) -> AbstractAsyncContextManager[Ranker]:
    """Open the hybrid ranker.

    The model is loaded when the first index is built.
    """
    from mcp_gateway_ranker_hybrid.ranker import open_hybrid

    return open_hybrid(options.words, context or RankerContext.from_installed(exclude=NAME))


@hookimpl
def mcp_gateway_rankers() -> Iterator[Provider[HybridOptions, Ranker]]:
    """Yield `hybrid`."""
    yield Provider(
        name=NAME,
        summary="words and meaning, with a small local model",
        options=HybridOptions,
        build=hybrid_ranker,
        build_in=hybrid_ranker,
    )
