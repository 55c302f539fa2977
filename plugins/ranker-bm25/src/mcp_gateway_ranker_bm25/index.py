"""Inverted index: analysis of the query, scoring, and explained top hits."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from mcp_gateway.plugin import Hit, Hits, Label, Match, Query
from mcp_gateway_ranker_bm25.aliases import Aliases
from mcp_gateway_ranker_bm25.analyser import terms
from mcp_gateway_ranker_bm25.fields import FIELDS, Floats, Ints
from mcp_gateway_ranker_bm25.merge import MergedSections
from mcp_gateway_ranker_bm25.repair import MAX_TERMS, correct_term

_CALLED = 1.3
"""The factor of a tool's score if the query contains the whole name of its server."""

_FIRST = 3.0
"""A tool named in the query gets so many times the best score added, to be first even after score fusion."""

_GUESSED = 0.5
"""The weight of a corrected word."""

_ROUNDING = 1e-6
"""Contributions below this are rounding errors and are not explained."""

_STRONG = 0.5
"""The share of the query's idf that the best hit must match for the label "strong"."""


@dataclass(frozen=True, slots=True)
class QueryTerm:
    """A weighted query term, and the query word behind it.

    They differ for corrected words and synonyms.
    """

    term: str
    weight: float
    query_word: str

    def __str__(self) -> str:
        """Show both if they differ: `repositri → repositori`."""
        return self.term if self.query_word == self.term else f"{self.query_word} → {self.term}"


@dataclass(frozen=True, slots=True)
class WordIndex:
    """Immutable index with everything that a search needs."""

    tools: MergedSections
    aliases: Aliases

    def find(self, query: Query) -> Hits:
        """Return the matching tools, best first.

        A tool matches by a term of the query or by its name.
        """
        asked = self._query_terms(query.text)
        scores = self.tools.postings.scores((item.term, item.weight) for item in asked)
        servers = self._boost_servers(scores, asked)
        named = self._boost_names(scores, query.text)
        if query.servers:
            wanted = [at for at, server in enumerate(self.tools.servers) if server in query.servers]
            scores[~np.isin(self.tools.owner, wanted)] = 0
        matching = np.flatnonzero(scores > 0)
        best = _top_documents(scores, matching, query.limit)
        hits = tuple(
            Hit(
                id=self.tools.ids[at],
                score=float(scores[at]),
                matches=self._explain(at, float(scores[at]), asked, servers) if query.explain else (),
            )
            for at in best
        )
        return Hits(hits=hits, total=len(matching), label=self._label(best, named, asked), filtered=True)

    def _query_terms(self, text: str) -> tuple[QueryTerm, ...]:
        """Return the query terms with corrections and synonyms.

        A term of the query weighs 1 + log tf. The first terms that no tool has are corrected by one edit.
        """
        frequency = self.tools.postings.frequency
        counts = Counter(terms(text))
        asked: dict[str, QueryTerm] = {}
        corrected = 0
        for term, count in counts.items():
            weight = 1 + math.log10(count)
            others = [(other, share) for other, share in self.aliases.get(term, ()) if frequency(other)]
            asked[term] = QueryTerm(term, weight, term)
            for other, share in others:
                if other not in counts and (other not in asked or asked[other].weight < weight * share):
                    asked[other] = QueryTerm(other, weight * share, term)
            if frequency(term) or others or corrected == MAX_TERMS:
                continue
            corrected += 1
            guess = correct_term(term, self.tools.postings.vocabulary, frequency)
            if guess and guess not in counts:
                asked.setdefault(guess, QueryTerm(guess, weight * _GUESSED, term))
        return tuple(asked.values())

    def _boost_servers(self, scores: Floats, asked: tuple[QueryTerm, ...]) -> frozenset[int]:
        """Boost the tools of servers named in the query.

        Returns the servers with all words of their names in the query; with one server alone there is nothing
        to boost.
        """
        words = (item.term for item in asked if item.term == item.query_word)
        matches = Counter(server for word in words for server in self.tools.servers_by_term.get(word, ()))
        called = [server for server, count in matches.items() if count == self.tools.server_term_counts[server]]
        if not called or len(self.tools.servers) == 1:
            return frozenset()
        scores[np.isin(self.tools.owner, called)] *= _CALLED
        return frozenset(called)

    def _boost_names(self, scores: Floats, text: str) -> frozenset[int]:
        """Boost tools named in the query, whole or by prefix.

        Returns those named by whole names; they come before the prefix matches.
        """
        exact = self.tools.names.exact_matches(text)
        some = exact | self.tools.names.prefix_matches(text)
        if some:
            step = _FIRST * (1.0 + float(scores.max()))
            scores[list(some)] += step
            scores[list(exact)] += step
        return exact

    def _explain(
        self, at: int, score: float, asked: tuple[QueryTerm, ...], servers: frozenset[int]
    ) -> tuple[Match, ...]:
        """Explain the score of a hit.

        The matches are its terms, the name of its server, and its own name.
        """
        found: list[Match] = []
        for item in asked:
            if posting := self.tools.postings.posting(item.term, at):
                weight, bits = posting
                fields = tuple(field.name for bit, field in enumerate(FIELDS) if bits >> bit & 1)
                found.append(Match(term=str(item), fields=fields, score=item.weight * weight))
        # fsum, so that the remainder is not a rounding error of the sum.
        terms = math.fsum(match.score for match in found)
        if int(self.tools.owner[at]) in servers:
            found.append(Match(term="the server is named", fields=("server",), score=terms * (_CALLED - 1)))
        rest = score - math.fsum(match.score for match in found)
        if rest > _ROUNDING:
            found.append(Match(term="the tool is named", fields=("name",), score=rest))
        return tuple(sorted(found, key=lambda match: -match.score))

    def _label(self, best: list[int], named: frozenset[int], asked: tuple[QueryTerm, ...]) -> Label:
        """Label how well the best hit covers the query.

        It is strong if the query names the tool, or if the tool has half of the query's idf.
        """
        if not best:
            return "none"
        if best[0] in named:
            return "strong"
        postings = self.tools.postings
        whole = covered = 0.0
        idf_by_word: dict[str, float] = {}
        for item in asked:
            at = postings.vocabulary.get(item.term)
            # A word that no tool has counts with the highest idf, because the query asked for it.
            idf = math.log(postings.size + 1) if at is None else float(postings.idf[at])
            if item.query_word == item.term:
                whole += idf
            if postings.posting(item.term, best[0]):
                idf_by_word[item.query_word] = max(idf_by_word.get(item.query_word, 0.0), idf)
        covered = sum(idf_by_word.values())
        return "strong" if covered >= _STRONG * whole else "weak"


def _top_documents(scores: Floats, matching: Ints, limit: int) -> list[int]:
    """Return the `limit` best matching documents.

    Of equal scores the lower document number comes first.
    """
    found = scores[matching]
    if len(matching) > limit:
        # Ties with the last one are kept, so that the document number decides, not the order of partition.
        least = np.partition(found, len(found) - limit)[len(found) - limit]
        matching, found = matching[found >= least], found[found >= least]
    order = np.lexsort((matching, -found))[:limit]
    return [int(at) for at in matching[order]]
