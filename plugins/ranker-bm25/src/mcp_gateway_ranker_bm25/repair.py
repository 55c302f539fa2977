"""Spelling correction of unknown query terms by one edit.

`repositry` finds `repository`.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from string import ascii_lowercase

LEAST = 5
"""The least length of words to correct; shorter ones are one edit away from too many others."""

LONGEST = 32
"""The greatest length of words to correct: there are fifty edits of each letter."""

MAX_TERMS = 16
"""How many words of a query are corrected at the most; a search runs on the event loop."""


def correct_term(term: str, vocabulary: Container[str], frequency: Callable[[str], int]) -> str | None:
    """Return the best vocabulary term one edit away.

    The best is the most frequent one. It has the same first letter as `term`; None if there is none.

    An edit removes, adds or changes a letter, or swaps two neighbours. Terms with digits or letters other than a to z
    are names and numbers, and are not corrected.
    """
    if not LEAST <= len(term) <= LONGEST or not (term.isascii() and term.isalpha()):
        return None
    known = {edited for edited in _iter_edits(term) if edited in vocabulary}
    return min(known, key=lambda edited: (-frequency(edited), edited), default=None)


def _iter_edits(term: str) -> Iterator[str]:
    """Yield all strings one edit away, with the same first letter.

    People rarely miss the first letter.
    """
    for at in range(1, len(term) + 1):
        head, tail = term[:at], term[at:]
        yield from (head + letter + tail for letter in ascii_lowercase)
        if tail:
            yield head + tail[1:]
            yield from (head + letter + tail[1:] for letter in ascii_lowercase if letter != tail[0])
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]
