"""One form for all ways to write the same words.

For patterns that look for words; it is not shown.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

from mcp_gateway.text.characters import IGNORABLE

PIECE = 16_384
"""How many characters are looked at in one go: what runs in C lets no other thread run meanwhile."""

_BORDER = "\x1e"
_IGNORED = re.compile(f"[{IGNORABLE}]")
_SPACES = re.compile(r"[^\S\x1e]{2,}|[^\S\x1e ]")

# Letters of other scripts that look like Latin ones: the part of Unicode's confusables.txt (UTS 39) that most fonts
# draw alike. Each pair is letters and, in the same order, what they look like.
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
"""Letters that are Cyrillic and look Latin."""


def normalize(texts: Iterable[str]) -> str:
    """Return texts in one form, each in a line.

    Letters are those of NFKC without accents, look-alikes those that they look like,
    what draws nothing is gone, and white space, line breaks too, is one space.
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
    """The replacement of each character, looked up once."""

    def __missing__(self, code: int) -> str:
        """Look a character up."""
        self[code] = found = _fold(chr(code))
        return found


@lru_cache(maxsize=4096)
def _fold(character: str) -> str:
    # One character at a time: `normalize` takes quadratic time for a long run of accents.
    parts = unicodedata.normalize("NFKD", character)
    kept = (part for part in parts if not unicodedata.combining(part) and not _IGNORED.match(part))
    return "".join(_LOOK_ALIKES.get(part, part) for part in kept)
