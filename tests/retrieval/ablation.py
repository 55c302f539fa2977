"""Says what each choice of ranker-bm25 gains: the mean recall@5 of all sets with everything, and without each one.

python tests/retrieval/ablation.py
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from unittest.mock import patch

import anyio
from mcp_gateway_ranker_bm25 import analyser, fields, index, merge, postings
from run import macro, run
from searchers import Searcher, installed, ranker
from sets import SETS

from mcp_gateway.plugin import RankerContext

Change = tuple[object, str, object]
"""What stands in for an attribute of a module while a choice is left out."""

_NEVER = re.compile(r"(?!)")


def _flat() -> Change:
    alike = tuple(replace(field, weight=1.0, length=0.7) for field in fields.FIELDS)
    return merge, "postings", partial(postings.compute_postings, fields=alike)


def _split(text: str) -> Iterator[str]:
    yield from text.split()


def _parts_alone(raw: str) -> Iterator[str]:
    yield from (part.lower() for part in analyser._CAMEL.split(raw))


def _as_it_is(word: str) -> str:
    return word


def _nothing(*_: object) -> None:
    return None


_UNSTEMMED: tuple[Change, ...] = ((analyser, "stem", _as_it_is), (merge, "stem", _as_it_is))
_ALL_WORDS: Change = (analyser, "STOP_WORDS", frozenset())

CHOICES: dict[str, tuple[Change, ...]] = {
    "everything": (),
    "the analyser (text.split() instead)": ((analyser, "words", _split), _ALL_WORDS, *_UNSTEMMED),
    "NFKC": ((analyser, "unicodedata", SimpleNamespace(normalize=lambda _, text: text)),),
    "camelCase": ((analyser, "_CAMEL", _NEVER),),
    "the joined form of camelCase": ((analyser, "_parts", _parts_alone),),
    "pairs of CJK characters": ((analyser, "_CJK", _NEVER),),
    "stems": _UNSTEMMED,
    "stop words": (_ALL_WORDS,),
    "weights of the fields": (_flat(),),
    "1 + log of a word's frequency in the query": (
        (index, "math", SimpleNamespace(log10=lambda _: 0.0, log=math.log, fsum=math.fsum)),
    ),
    "the boost for a named server": ((index, "_CALLED", 1.0),),
    "names first": ((index, "_FIRST", 0.0),),
    "repair of unknown words": ((index, "repaired", _nothing),),
}
"""What is left out, and how."""


async def found(searcher: Searcher, changes: tuple[Change, ...]) -> dict[str, float]:
    """Run the ranker over all sets with some changes; return the means."""
    with ExitStack() as stack:
        for module, name, value in changes:
            stack.enter_context(patch.object(module, name, value))
        return macro({case_set.name: (await run(searcher, case_set))[0] for case_set in SETS})


async def main() -> None:
    """Print a row for each choice."""
    print(f"{'without':<46}{'R@5':>7}{'gain':>8}{'R@1':>8}{'gain':>8}")
    whole: dict[str, float] = {}
    bound = installed()["bm25"]
    async with ranker("bm25", bound, RankerContext.from_installed(exclude="bm25")) as searcher:
        for name, changes in CHOICES.items():
            mean = await found(searcher, changes)
            whole = whole or mean
            cells = [f"{mean[key]:7.3f}{whole[key] - mean[key]:+8.3f}" for key in ("R@5", "R@1")]
            print(f"{name:<46}{' '.join(cells)}", flush=True)


if __name__ == "__main__":
    anyio.run(main)
