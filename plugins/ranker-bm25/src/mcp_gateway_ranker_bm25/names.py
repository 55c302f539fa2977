"""Tool-name match: exact names and prefixes in a query.

A query that has one ranks that tool first.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from mcp_gateway_ranker_bm25.analyser import normalize_name
from mcp_gateway_ranker_bm25.fields import Columns

# Too many names begin with the same two letters.
_SHORTEST = 3
"""The least length of a prefix that matches a name."""


@dataclass(frozen=True, slots=True)
class NameIndex:
    """Normalized tool names in ascending order, with and without server.

    `analyser.normalize_name` normalizes them. `documents` has the document number of each name, in the same order.
    """

    keys: tuple[str, ...]
    documents: Columns

    def exact_matches(self, text: str) -> frozenset[int]:
        """Return the tools named by `text` or an identifier in it.

        An identifier is a word that is written as names are, with an underscore or in camel case.
        """
        return frozenset(
            int(self.documents[at])
            for name in {normalize_name(text), *map(normalize_name, _find_identifiers(text))}
            for at in self._iter_prefix(name)
            if self.keys[at] == name
        )

    def prefix_matches(self, text: str) -> frozenset[int]:
        """Return the tools with names that begin with `text`.

        None do if `text` is more than one word, or too short.
        """
        name = normalize_name(text)
        if len(name) < _SHORTEST or len(text.split()) != 1:
            return frozenset()
        return frozenset(int(self.documents[at]) for at in self._iter_prefix(name))

    def _iter_prefix(self, name: str) -> Iterator[int]:
        """Iterate over the places of the names that begin with `name`."""
        at = bisect_left(self.keys, name)
        while name and at < len(self.keys) and self.keys[at].startswith(name):
            yield at
            at += 1


def _find_identifiers(text: str) -> Iterator[str]:
    """Yield the words in snake case or camel case.

    Such a word has an underscore, or letters in mixed case after its first.
    """
    for part in text.split():
        mixed = part[1:] not in (part[1:].lower(), part[1:].upper())
        if "_" in part or mixed:
            yield part
