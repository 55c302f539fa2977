"""Postings with precomputed BM25F weights.

Each is the score of a term in a document, by the formula of rank_bm25.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rank_bm25 import BM25Okapi

from mcp_gateway_ranker_bm25.fields import FIELDS, Columns, Field, Floats, Ints, TermFrequencies, to_smallest_dtype

K1 = 1.2
"""The saturation of term frequencies (BM25's k1)."""


class InverseDocumentFrequencies(BM25Okapi):  # type: ignore[misc]  # rank_bm25 has no types
    """Inverse document frequencies, by rank_bm25's formula.

    The document frequencies are already known. Where the formula gives zero or less, as in catalogs of a few tools,
    Lucene's idf is used, which is never negative: otherwise one of two tools could not be found.
    """

    def __init__(self, frequencies: Ints, size: int, epsilon: float = 0.25) -> None:
        # The base class's constructor is not called: it counts all words again, and divides by zero without documents.
        self.corpus_size, self.epsilon = size, epsilon
        self.idf: dict[int, float] = {}
        order = np.argsort(frequencies, kind="stable")  # a sum of floats depends on their order
        # A private method, because the public constructor needs the texts to count what is already counted here.
        self._calc_idf(dict(enumerate(frequencies[order].tolist())))
        okapi = np.empty(len(frequencies))
        okapi[order] = list(self.idf.values())
        lucene = np.log1p((size - frequencies + 0.5) / (frequencies + 0.5))
        self.by_term: Floats = np.where(okapi > 0, okapi, lucene)


@dataclass(frozen=True, slots=True)
class Postings:
    """Postings lists: documents, weights and field bits, by term.

    A term's documents are in ascending order; each has a weight, and a bit for each field with the term.

    Those of term t are at `starts[t]` to `starts[t + 1]`.
    """

    size: int
    vocabulary: Mapping[str, int]
    starts: Ints
    documents: Columns
    weights: Floats
    fields: npt.NDArray[np.uint8]
    idf: Floats

    def scores(self, asked: Iterable[tuple[str, float]]) -> Floats:
        """Return the score of every document for weighted query terms."""
        total = np.zeros(self.size)
        for term, weight in asked:
            at = self.vocabulary.get(term)
            if at is not None:
                here = slice(self.starts[at], self.starts[at + 1])
                total[self.documents[here]] += weight * self.weights[here]
        return total

    def frequency(self, term: str) -> int:
        """Return the number of documents with a term."""
        at = self.vocabulary.get(term)
        return 0 if at is None else int(self.starts[at + 1] - self.starts[at])

    def posting(self, term: str, document: int) -> tuple[float, int] | None:
        """Return a term's weight and field bits in a document.

        None if the document does not have the term.
        """
        at = self.vocabulary.get(term)
        if at is None:
            return None
        start, end = self.starts[at], self.starts[at + 1]
        place = start + int(np.searchsorted(self.documents[start:end], document))
        if place == end or self.documents[place] != document:
            return None
        return float(self.weights[place]), int(self.fields[place])


def compute_postings(
    vocabulary: Mapping[str, int],
    entries: TermFrequencies,
    lengths: Ints,
    fields: Sequence[Field] = FIELDS,
    k1: float = K1,
) -> Postings:
    """Compute the BM25F weights of all postings.

    A term's frequencies in the fields are divided by the fields' relative lengths, multiplied by the fields' weights,
    added up, and saturated as one. For a single field that is Okapi BM25.
    """
    size, width = len(lengths), len(vocabulary)
    frequency = _weigh_frequencies(entries, lengths, fields)
    # Term and document in one number, so that sorting groups the fields of each pair.
    order = np.argsort(entries.term.astype(np.int64) * max(size, 1) + entries.document, kind="stable")
    term, document = entries.term[order], entries.document[order]
    first = (
        np.flatnonzero(np.r_[True, (term[1:] != term[:-1]) | (document[1:] != document[:-1])]) if len(term) else order
    )
    summed = np.add.reduceat(frequency[order], first) if len(first) else np.zeros(0)
    bits = (
        np.bitwise_or.reduceat((1 << entries.field[order]).astype(np.uint8), first)
        if len(first)
        else np.zeros(0, np.uint8)
    )
    counts = np.bincount(term[first], minlength=width)
    idf = InverseDocumentFrequencies(counts, size).by_term if width else np.zeros(0)
    weights = idf[term[first]] * (summed * (k1 + 1) / (k1 + summed))
    return Postings(
        size, vocabulary, np.r_[0, np.cumsum(counts)], to_smallest_dtype(document[first]), weights, bits, idf
    )


def _weigh_frequencies(entries: TermFrequencies, lengths: Ints, fields: Sequence[Field]) -> Floats:
    """Return weighted, length-normalized term frequencies.

    Each is the count of a term in a field, times the weight of the field, over its relative length.
    """
    if not len(lengths):
        return np.zeros(0)
    b = np.array([field.length for field in fields])
    average = lengths.sum(axis=0) / len(lengths)
    relative = 1 - b + b * lengths / np.where(average > 0, average, 1)
    weight = np.array([field.weight for field in fields])[entries.field]
    return np.asarray(weight * entries.count / relative[entries.document, entries.field], np.float64)
