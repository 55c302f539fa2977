"""The ranker itself, on RE2: a pattern that a model wrote cannot make it hang."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
import re2

from mcp_gateway.plugin import Document, Hit, Hits, Query, QueryError, Ranker, RankerIndex

_FIELD_WEIGHTS = (4.0, 2.0, 1.0)
"""How much a match in a tool's name, its title or description, or its arguments counts."""

_MAX_PROGRAM_BYTES = 8 << 20

_IN_A_THREAD = 2000
"""From how many documents on a search would hold up the event loop."""


@dataclass(frozen=True, slots=True)
class RegexIndex:
    """The fields of every tool, by its id."""

    fields: tuple[tuple[str, tuple[str, str, str]], ...]

    async def search(self, query: Query) -> Hits:
        """Return the tools that match, those whose names match first."""
        pattern = _compiled(query.text)
        if len(self.fields) < _IN_A_THREAD:
            return self._search(pattern, query.limit)
        return await anyio.to_thread.run_sync(self._search, pattern, query.limit)

    def _search(self, pattern: Any, limit: int) -> Hits:
        scored = [(self._score(pattern, fields), id_) for id_, fields in self.fields]
        best = sorted(((-score, id_) for score, id_ in scored if score), key=lambda pair: pair)
        return Hits(hits=tuple(Hit(id=id_, score=-score) for score, id_ in best[:limit]), total=len(best))

    def _score(self, pattern: Any, fields: tuple[str, str, str]) -> float:
        return sum(
            weight for weight, field in zip(_FIELD_WEIGHTS, fields, strict=True) if field and pattern.search(field)
        )


class RegexRanker:
    """Builds indexes: there is nothing to precompute but the text."""

    async def build(self, documents: Sequence[Document]) -> RankerIndex:
        """Keep the text of `documents`."""
        return RegexIndex(tuple((document.id, _fields(document)) for document in documents))


@asynccontextmanager
async def open_regex() -> AsyncIterator[Ranker]:
    """Open the ranker."""
    yield RegexRanker()


def _fields(document: Document) -> tuple[str, str, str]:
    name = f"{document.id}\n{document.name}"
    arguments = "\n".join(f"{parameter.name} {parameter.text}" for parameter in document.parameters)
    return name, f"{document.title}\n{document.description}".strip(), arguments


def _compiled(text: str) -> Any:
    """Compile a pattern, case-insensitively.

    Raises:
        QueryError: it is no pattern, or uses what cannot be matched in linear time.

    """
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = _MAX_PROGRAM_BYTES
    try:
        return re2.compile(text, options)
    except UnicodeEncodeError:
        raise QueryError("not a regular expression: there is half of a character (a lone surrogate) in it") from None
    except re2.error as error:
        said = error.args[0] if error.args else error
        reason = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise QueryError(
            f"not a regular expression that can be used here: {reason}; Python syntax works except for "
            "look-around and back-references, or search in plain words with use_regex false"
        ) from None
