"""Normalization of text for the matching of words.

The result is used for matching only and never shown.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

from mcp_gateway.text.characters import IGNORABLE

PIECE = 16_384
"""How many characters are processed at once, because C functions hold the GIL."""

_BORDER = "\x1e"
_IGNORED = re.compile(f"[{IGNORABLE}]")
_SPACES = re.compile(r"[^\S\x1e]{2,}|[^\S\x1e ]")

# Letters of other scripts that look like Latin ones: the part of Unicode's confusables.txt (UTS 39) that looks alike in
# most fonts. Each pair has the letters and, in the same order, their Latin look-alikes.
_CYRILLIC = (
    "аА:aA вВ:bB сС:cC ԁ:d еЕ:eE ѐё:ee һҺ:hH нН:hH іІ:iI ї:i јЈ:jJ кК:kK ӏӀ:lI мМ:mM оО:oO рР:pP ԛԚ:qQ ѕЅ:sS тТ:tT "
    "ѵѴ:vV ԝԜ:wW хХ:xX уУ:yY үҮ:yY"
)
_GREEK = "αΑ:aA βΒ:bB εΕ:eE ηΗ:nH ιΙ:iI κΚ:kK μΜ:mM νΝ:vN οΟ:oO ρΡ:pP τΤ:tT υΥ:uY χΧ:xX ζΖ:zZ ϲϹ:cC ϳ:j"
_OTHERS = "ıȷɑɡɩ:ijagi օոսհց:onuhg ᎪᏴᏟᎠᎬᎻᎫᏦᏞᎷᏢᎡᏚᎢᏙᎳᏃ:ABCDEHJKLMPRSTVWZ ᴀᴄᴅᴇɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ:acdeghijklmnoprstuvwyz"
_MARKS = "’‘ʼ:''' “”:\"\" ‐‑‒–—−:------ ⁄∕:// ․:."


def _look_alikes(*tables: str) -> dict[str, str]:
    pairs = (pair.rpartition(":") for table in tables for pair in table.split(" "))
    return {seen: meant for left, _, right in pairs for seen, meant in zip(left, right, strict=True)}


_LOOK_ALIKES = {**_look_alikes(_CYRILLIC, _GREEK, _OTHERS, _MARKS), "\u2800": " "}

CYRILLIC_LOOK_ALIKES = "".join(_look_alikes(_CYRILLIC))
"""Cyrillic letters that look like Latin ones."""


def normalize(texts: Iterable[str]) -> str:
    """Return normalized texts, one per line.

    Letters are in NFKC form without accents, look-alikes are replaced by Latin letters, invisible characters are
    removed, and runs of white space (line breaks included) become one space.
    """
    joined = _BORDER.join(text.replace(_BORDER, " ") for text in texts)
    return "".join(_pieces(joined)).replace(_BORDER, "\n")


def to_look_alikes(text: str) -> str:
    """Return a text with look-alikes replaced by Latin letters."""
    return "".join(_LOOK_ALIKES.get(character, character) for character in text)


def _pieces(text: str) -> Iterator[str]:
    folding, after_a_space = _Folding(), True
    for at in range(0, len(text), PIECE):
        piece = text[at : at + PIECE]
        piece = _SPACES.sub(" ", piece if piece.isascii() else piece.translate(folding))
        piece = piece.removeprefix(" ") if after_a_space else piece
        if piece:
            after_a_space = piece.endswith(" ")
            yield piece


class _Folding(dict[int, str]):
    """Replacements of characters, computed on first use."""

    def __missing__(self, code: int) -> str:
        """Compute the replacement of a character."""
        self[code] = found = _fold(chr(code))
        return found


@lru_cache(maxsize=4096)
def _fold(character: str) -> str:
    # One character at a time, because `normalize` takes quadratic time for long runs of accents.
    parts = unicodedata.normalize("NFKD", character)
    kept = (part for part in parts if not unicodedata.combining(part) and not _IGNORED.match(part))
    return "".join(_LOOK_ALIKES.get(part, part) for part in kept)
