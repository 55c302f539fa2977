"""The analyser: text to terms, the same for tools and queries.

What each choice gains is the mean recall@5 of the seven development sets less that without
the choice (`python tests/retrieval/ablation.py`). All of them together gain .229.

* Cut at all that is no letter or digit, in lower case: `create_issue` is `create`, `issue`.
* camelCase is cut, too (.020): a third of all public tools are named so. The joined form is
  kept (.002): people write `GitHub` and `github`.
* Words of conversation are dropped (.031): tools are asked for in sentences. Verbs such as
  get, list and find are kept: tools are named by them.
* Snowball stems (.018; .029 for the first hit), so that `searching issues` finds
  `search_issue`. English only: other languages stay as they are, which costs them a little
  and harms nothing.
* Chinese, Japanese and Korean runs become overlapping pairs of characters (.001, of the few
  Chinese queries in one set of seven): they have no spaces, so without it nothing matches.
* NFKC (.000: the sets are in plain characters): full-width letters and ligatures match.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from mcp_gateway_ranker_bm25.stemmer import load_english_stemmer

_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")

_CONVERSATION = """
a an the this that these those
i me my mine myself we us our ours you your yours he him his she her hers it its itself they them their theirs
am is are was were be been being do does did doing done have has had having
can could will would shall should may might must s t d m ll re ve don isn aren doesn didn won
and or but if so then than because while as of at by for with about into from to in on onto off out up down
who whom whose which what when where why how not no nor only just very too also some any each such there here
want wants wanted need needs needed please help helps helping use used uses using like likes looking look
let lets know tell give gives wonder wondering try trying thanks thank hi hello hey ok okay able assist
interested curious api function functions tool tools
"""

STOP_WORDS = frozenset(_CONVERSATION.split())
"""Words of conversation, and words that fit every tool."""


def terms(text: str) -> list[str]:
    """Return the terms of `text` in order.

    Repeated terms are repeated.
    """
    return [word if word.isdigit() else stem(word) for word in words(text) if word not in STOP_WORDS]


def words(text: str) -> Iterator[str]:
    """Yield the words of `text` in lower case.

    They include stop words, and are not stemmed.
    """
    for raw in _WORD.findall(unicodedata.normalize("NFKC", text)):
        if raw.isascii():
            yield from _split_identifier(raw)
        elif _CJK.search(raw):
            yield from _cjk_bigrams(raw)
        else:
            yield from _split_identifier(raw)


def normalize_name(text: str) -> str:
    """Normalize a name: without case and punctuation.

    `create_issue`, `createIssue` and `Create issue` become one key.
    """
    return "".join(_WORD.findall(unicodedata.normalize("NFKC", text))).lower()


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Return the stem of a lower-case English word.

    Words that are not ASCII are returned unchanged.
    """
    return str(_STEMMER.stemWord(word)) if word.isascii() else word


def _split_identifier(raw: str) -> Iterator[str]:
    lower = raw.lower()
    # Only mixed case can be camel case; a leading capital alone is not.
    if lower not in (raw, raw[:1].lower() + raw[1:]):
        parts = _CAMEL.split(raw)
        if len(parts) > 1:
            yield from (part.lower() for part in parts)
    yield lower


def _cjk_bigrams(raw: str) -> Iterator[str]:
    """Split CJK runs into bigrams, and the rest into words."""
    for run in _CJK.findall(raw):
        yield from [run[at : at + 2] for at in range(len(run) - 1)] or [run]
    yield from (word.lower() for word in _CJK.split(raw) if word)


_STEMMER = load_english_stemmer()
