"""Snowball stemmer for English only.

Importing its package would load the stemmers of all languages, which take ten megabytes.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Protocol

_PACKAGE = f"{__package__}.snowball"
"""The name under which the package is loaded here, without running its `__init__`."""


class Stemmer(Protocol):
    """A stemmer."""

    def stemWord(self, word: str) -> str:  # noqa: N802  # it is Snowball's name
        """Return the stem of a word."""
        ...


def load_english_stemmer() -> Stemmer:
    """Return the stemmer, the one in C if installed."""
    found = find_spec("snowballstemmer")
    # If PyStemmer is installed, the package uses it (it is in C) and loads no stemmers of its own.
    if found is not None and found.submodule_search_locations and find_spec("Stemmer") is None:
        package = sys.modules.setdefault(_PACKAGE, ModuleType(_PACKAGE))
        package.__path__ = list(found.submodule_search_locations)
        made: Stemmer = import_module(f"{_PACKAGE}.english_stemmer").EnglishStemmer()
        return made
    import snowballstemmer

    whole: Stemmer = snowballstemmer.stemmer("english")
    return whole
