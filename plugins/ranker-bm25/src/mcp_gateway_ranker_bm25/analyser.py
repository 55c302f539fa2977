"""The analyser: text to terms, the same for tools and queries."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

import snowballstemmer

_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")

_CONVERSATION = """
a an and are as at be by can could do does for from have help how i if in into is it its just like me my need of on or
please so some that the their them then there these this to tool tools us use using want was we what when where which
will with would you your
"""

STOP_WORDS = frozenset(_CONVERSATION.split())
"""Words of conversation. Verbs such as get, list and find are kept: tools are named by them."""


def terms(text: str) -> list[str]:
    """Return the terms of `text`, in order.

    Normalised (NFKC), split at everything that is no letter or digit, and at camelCase,
    of which the joined form is kept, too; lower case, stop words dropped, stemmed.
    Chinese, Japanese and Korean runs become bigrams.
    """
    found = [word for raw in _WORD.findall(unicodedata.normalize("NFKC", text)) for word in _words(raw)]
    return [_stem(word) for word in found if word not in STOP_WORDS]


def _words(raw: str) -> Iterator[str]:
    if _CJK.search(raw):
        yield from _bigrams(raw)
        return
    parts = _CAMEL.split(raw)
    yield from (part.lower() for part in parts)
    if len(parts) > 1:
        yield raw.lower()


def _bigrams(raw: str) -> Iterator[str]:
    """Cut CJK runs into overlapping pairs, and take the rest as words."""
    for run in _CJK.findall(raw):
        yield from [run[at : at + 2] for at in range(len(run) - 1)] or [run]
    yield from (word.lower() for word in _CJK.split(raw) if word)


@lru_cache(maxsize=65536)
def _stem(word: str) -> str:
    return str(_STEMMER.stemWord(word)) if word.isascii() else word


_STEMMER = snowballstemmer.stemmer("english")
