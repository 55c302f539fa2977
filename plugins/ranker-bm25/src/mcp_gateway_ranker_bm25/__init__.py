"""BM25 ranker over names, descriptions and arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Annotated

from pydantic import AfterValidator, Field

from mcp_gateway.plugin import Options, Provider, Ranker, hookimpl

GATEWAY_API = 1


_WORD = re.compile(r"[^\W_]+")


def _check_aliases(text: str) -> str:
    """Validate the configured synonyms.

    Every group must have two sides or more, and one of them must be a single word. Raises ValueError.
    """
    for group in filter(str.strip, text.split(",")):
        sides = [len(_WORD.findall(side)) for side in group.split("=")]
        if len(sides) < 2 or 0 in sides or 1 not in sides or ";" in group:  # noqa: PLR2004  # this equals that
            raise ValueError(
                f"{group.strip()!r} does not say which word means what; write k8s = kubernetes, pr = pull request"
            )
    return text


class Bm25Options(Options):
    """Options of the BM25 ranker, from the environment."""

    aliases: Annotated[str, AfterValidator(_check_aliases)] = Field(
        "",
        alias="GATEWAY_BM25_ALIASES",
        description="Words that mean the same in your tools: `k8s = kubernetes, pr = pull request`",
    )


def bm25_ranker(options: Bm25Options) -> AbstractAsyncContextManager[Ranker]:
    """Open the ranker."""
    from mcp_gateway_ranker_bm25.ranker import open_bm25

    return open_bm25(options.aliases)


@hookimpl
def mcp_gateway_rankers() -> Iterator[Provider[Bm25Options, Ranker]]:
    """Yield `bm25`."""
    yield Provider(name="bm25", summary="words, ranked by BM25", options=Bm25Options, build=bm25_ranker)
