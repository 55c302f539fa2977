"""Passages that the encoder embeds: tools and query sentences.

A tool's passage has its server, name, title, description and argument names.
"""

from __future__ import annotations

import re
from hashlib import sha256

from mcp_gateway.plugin import Document

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_APART = re.compile(r"[_\W]+")
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|(?<=[\u3002\uff01\uff1f\uff1b])|\n+")  # the latter end Chinese sentences
_LETTER = re.compile(r"[^\W\d_]")

_FEWEST_WORDS = 4
"""A sentence with fewer words is joined with the previous one: `Thanks!`, or the text after an abbreviation."""

_LONG = 32
"""From how many words on a query is split into sentences; encoding a shorter one as a whole is faster."""

_MOST = 6
"""How many sentences a query is split into; the last one has the rest."""


def passage_of(document: Document) -> str:
    """Return the passage of a tool: server, name, description, arguments."""
    arguments = ", ".join(_split_identifier(parameter.name) for parameter in document.parameters)
    described = " ".join(part for part in (document.title, document.description) if part)
    return f"{_split_identifier(document.server)} {_split_identifier(document.name)}: {described} ({arguments})"


def hash_of(text: str) -> str:
    """Return a stable hash of a text."""
    return sha256(text.encode(errors="replace")).hexdigest()[:32]


def split_sentences(query: str) -> list[str]:
    """Split a long query into sentences.

    The embedding of a query for two things is near to neither of them. The list is empty if the query has no letter.
    """
    found: list[str] = []
    parts = _SENTENCE.split(query) if len(query.split()) >= _LONG else [query]
    for part in (part.strip() for part in parts):
        if found and (len(part.split()) < _FEWEST_WORDS or len(found) == _MOST):
            found[-1] = f"{found[-1]} {part}".strip()
        elif part:
            found.append(part)
    return [sentence for sentence in found if _LETTER.search(sentence)]


def _split_identifier(name: str) -> str:
    """Split an identifier into words.

    `createIssue` becomes `create Issue`, `create_issue` becomes `create issue`.
    """
    return " ".join(_APART.sub(" ", _CAMEL.sub(" ", name)).split())
