"""The request of `tool_search`: its query within bounds, and its hints."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from mcp_gateway.plugin import Query
from mcp_gateway.search.queries import asks_for_all, fit_query, matches_anything
from mcp_gateway.server.builtin_tools import SearchArguments
from mcp_gateway.text.hints import CHOOSE_SERVER
from mcp_gateway.text.name_lists import fit_names

REGEX = "regex"
"""The ranker whose queries are patterns."""

_MAX_SERVERS = 500
"""How many characters the names of servers may have in a hint."""


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search: the query, the ranker's name, and hints for the answer.

    `is_empty` says that there is nothing to rank by.
    """

    query: Query
    ranker: str
    hints: tuple[str, ...] = ()
    is_empty: bool = False


def read_search(
    wanted: SearchArguments, servers: Collection[str], known: Iterable[str], *, default: str, max_results: int
) -> SearchRequest:
    """Read a search of some servers, or of all that are `known`.

    `default` is the name of the default ranker.
    """
    ranker = wanted.ranker or (REGEX if wanted.use_regex else default)
    is_pattern = ranker == REGEX or wanted.use_regex
    fitted, is_empty = fit_query(wanted.query, is_pattern=is_pattern), matches_anything(wanted.query)
    hints = [fitted.hint] if fitted.hint else []
    if asks_for_all(wanted.query):
        hints.append(_lead_to_discovery(servers or known))
    query = Query(
        text=".*" if is_empty and is_pattern else fitted.text,
        limit=max(1, min(max_results, wanted.max_results)),
        servers=frozenset(servers),
        explain=wanted.explain,
    )
    return SearchRequest(query, ranker, tuple(hints), is_empty and not is_pattern)


def _lead_to_discovery(servers: Iterable[str]) -> str:
    names = fit_names([(name, "") for name in servers], _MAX_SERVERS, lambda name, _: name, ", ")
    return f"{CHOOSE_SERVER.for_models}: {names or '(no server is configured)'}"
