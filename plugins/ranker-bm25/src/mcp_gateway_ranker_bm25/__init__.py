"""Ranker: words, ranked by BM25 over names, descriptions and arguments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager

from pydantic import Field

from mcp_gateway.plugin import Options, Provider, Ranker, hookimpl

GATEWAY_API = 1


class Bm25Options(Options):
    """What is read from the environment."""

    aliases: str = Field(
        "",
        alias="GATEWAY_BM25_ALIASES",
        description="Words that mean the same in your tools: k8s = kubernetes, pr = pull request",
    )


def bm25_ranker(options: Bm25Options) -> AbstractAsyncContextManager[Ranker]:
    """Make the ranker."""
    from mcp_gateway_ranker_bm25.ranker import open_bm25

    return open_bm25(options.aliases)


@hookimpl
def mcp_gateway_rankers() -> Iterator[Provider[Bm25Options, Ranker]]:
    """Offer `bm25`."""
    yield Provider(name="bm25", summary="words, ranked by BM25", options=Bm25Options, build=bm25_ranker)
