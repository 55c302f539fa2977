"""Regex ranker: linear-time search over names, descriptions and arguments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager

from mcp_gateway.plugin import Options, Provider, Ranker, hookimpl

GATEWAY_API = 1


def regex_ranker(_: Options) -> AbstractAsyncContextManager[Ranker]:
    """Open the ranker."""
    from mcp_gateway_ranker_regex.ranker import open_regex

    return open_regex()


@hookimpl
def mcp_gateway_rankers() -> Iterator[Provider[Options, Ranker]]:
    """Yield `regex`."""
    yield Provider(name="regex", summary="a regular expression, in linear time", options=Options, build=regex_ranker)
