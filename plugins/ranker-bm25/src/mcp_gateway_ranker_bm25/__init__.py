"""Ranker: words, ranked by BM25 over names, descriptions and arguments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager

from mcp_gateway.plugin import Options, Provider, Ranker, hookimpl

GATEWAY_API = 1


def bm25_ranker(_: Options) -> AbstractAsyncContextManager[Ranker]:
    """Make the ranker."""
    from mcp_gateway_ranker_bm25.ranker import open_bm25  # numpy is slow to import

    return open_bm25()


@hookimpl
def mcp_gateway_rankers() -> Iterator[Provider[Options, Ranker]]:
    """Offer `bm25`."""
    yield Provider(name="bm25", summary="words, ranked by BM25", options=Options, build=bm25_ranker)
