"""Document fields with weights, and analysed sections.

A section holds the analysed tools of one server.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcp_gateway.plugin import Document
from mcp_gateway_ranker_bm25.analyser import normalize_name, terms

Ints = npt.NDArray[np.int64]
Columns = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Field:
    """A document field: name, weight, and length normalization (b)."""

    name: str
    weight: float
    length: float


FIELDS = (
    Field("server", 2.0, 0.5),
    Field("name", 2.5, 0.5),
    Field("title", 1.0, 0.5),
    Field("description", 1.0, 0.7),
    Field("argument names", 0.4, 0.7),
    Field("argument texts", 0.4, 0.7),
)
"""Chosen before measuring; the optimum is flat: no choice between half and twice of these gains a point."""


@dataclass(frozen=True, slots=True)
class TermFrequencies:
    """Term frequencies as columns: document, term, field, count.

    The four columns have equal length, one row for each term in a field of a document.
    """

    document: Columns
    term: Columns
    field: Columns
    count: Columns


@dataclass(frozen=True, slots=True)
class AnalysedSection:
    """The analysed documents of one server.

    Analysis is the expensive part, and is not repeated when another server changes.

    `lengths` are the numbers of terms, a row a document, a column a field. `keys` are the
    documents' names without case and punctuation, and `called` the position of each one's document.
    """

    server: str
    ids: tuple[str, ...]
    vocabulary: tuple[str, ...]
    entries: TermFrequencies
    lengths: Columns
    keys: tuple[str, ...]
    key_documents: Columns


def analyse_section(server: str, documents: Sequence[Document]) -> AnalysedSection:
    """Analyse the documents of one server."""
    vocabulary: dict[str, int] = {}
    # Four integers per row; Python tuples would need many times the memory.
    rows = array("i")
    lengths = np.zeros((len(documents), len(FIELDS)), np.int64)
    keys: list[tuple[str, int]] = []
    for at, document in enumerate(documents):
        keys += {(normalize_name(document.id), at), (normalize_name(document.name), at)}
        for field, text in enumerate(_texts(document)):
            found = terms(text) if text else []
            lengths[at, field] = len(found)
            for term, count in Counter(found).items():
                rows.extend((at, vocabulary.setdefault(term, len(vocabulary)), field, count))
    columns = np.frombuffer(rows, np.intc).reshape(-1, 4).T
    named = sorted(pair for pair in keys if pair[0])
    return AnalysedSection(
        server,
        tuple(document.id for document in documents),
        tuple(vocabulary),
        TermFrequencies(*map(to_smallest_dtype, columns)),
        to_smallest_dtype(lengths),
        tuple(name for name, _ in named),
        to_smallest_dtype(np.array([at for _, at in named], np.int32)),
    )


def to_smallest_dtype(numbers: Columns) -> Columns:
    """Cast non-negative integers to the smallest unsigned dtype."""
    return numbers.astype(np.min_scalar_type(numbers.max(initial=0)))


def _texts(document: Document) -> tuple[str, ...]:
    """Return the texts of a document, in the order of FIELDS."""
    return (
        document.server,
        document.name,
        document.title,
        document.description,
        " ".join(parameter.name for parameter in document.parameters),
        " ".join(parameter.text for parameter in document.parameters if parameter.text),
    )
