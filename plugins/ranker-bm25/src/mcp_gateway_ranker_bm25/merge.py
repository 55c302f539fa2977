"""Merge of all analysed sections into one index.

It works on arrays only; no text is analysed again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mcp_gateway_ranker_bm25.analyser import stem, words
from mcp_gateway_ranker_bm25.fields import FIELDS, AnalysedSection, Columns, TermFrequencies, to_smallest_dtype
from mcp_gateway_ranker_bm25.names import NameIndex
from mcp_gateway_ranker_bm25.postings import Postings, compute_postings

_SAYS_NOTHING = frozenset(map(stem, ("mcp", "server", "servers", "api", "tool", "tools", "app", "service", "official")))
"""Words in server names that do not identify a server."""


@dataclass(frozen=True, slots=True)
class MergedSections:
    """The merged data of an index: postings, owners and names.

    Documents are numbered in the order of their ids, so the lower number wins a tie.

    `owner` is the server of each document, as an index into `servers`. `calling` maps a term to the servers with it in
    their names, and `called` is the number of such terms in each server's name.
    """

    ids: tuple[str, ...]
    postings: Postings
    servers: tuple[str, ...]
    owner: Columns
    names: NameIndex
    servers_by_term: Mapping[str, tuple[int, ...]]
    server_term_counts: tuple[int, ...]


def merge_sections(sections: Sequence[AnalysedSection]) -> MergedSections:
    """Merge sections; the result does not depend on their order."""
    # Sorted, because servers answer in any order, and a sum of floats depends on its order.
    sections = sorted(sections, key=lambda section: section.server)
    ids = [id_ for section in sections for id_ in section.ids]
    order = sorted(range(len(ids)), key=ids.__getitem__)
    place = np.empty(len(ids), np.int32)
    place[order] = np.arange(len(ids), dtype=np.int32)
    sizes = np.array([len(section.ids) for section in sections], np.int64)
    calling, called = _index_server_names(sections)
    return MergedSections(
        ids=tuple(ids[at] for at in order),
        postings=_merge_postings(sections, place),
        servers=tuple(section.server for section in sections),
        owner=np.repeat(np.arange(len(sections), dtype=np.int32), sizes)[order],
        names=_merge_names(sections, place),
        servers_by_term=calling,
        server_term_counts=called,
    )


def _merge_postings(sections: Sequence[AnalysedSection], place: Columns) -> Postings:
    vocabulary: dict[str, int] = {}
    columns: list[TermFrequencies] = []
    began = 0
    lengths = np.zeros((len(place), len(FIELDS)), np.int64)
    for section in sections:
        known = [vocabulary.setdefault(term, len(vocabulary)) for term in section.vocabulary]
        here, entries = place[began : began + len(section.ids)], section.entries
        lengths[here] = section.lengths
        number = np.array(known, np.int32)
        columns.append(TermFrequencies(here[entries.document], number[entries.term], entries.field, entries.count))
        began += len(section.ids)
    joined = (
        np.concatenate([np.zeros(0, np.int32), *(getattr(column, name) for column in columns)])
        for name in ("document", "term", "field", "count")
    )
    return compute_postings(vocabulary, TermFrequencies(*joined), lengths)


def _merge_names(sections: Sequence[AnalysedSection], place: Columns) -> NameIndex:
    found: list[tuple[str, int]] = []
    began = 0
    for section in sections:
        found += zip(section.keys, place[began + section.key_documents.astype(np.intp)].tolist(), strict=True)
        began += len(section.ids)
    found.sort()
    return NameIndex(tuple(key for key, _ in found), to_smallest_dtype(np.array([at for _, at in found], np.int32)))


def _index_server_names(sections: Sequence[AnalysedSection]) -> tuple[Mapping[str, tuple[int, ...]], tuple[int, ...]]:
    calling: dict[str, tuple[int, ...]] = {}
    called: list[int] = []
    for at, section in enumerate(sections):
        names = {stem(word) for word in words(section.server)} - _SAYS_NOTHING
        called.append(len(names))
        for name in names:
            calling[name] = (*calling.get(name, ()), at)
    return calling, tuple(called)
