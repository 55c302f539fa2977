"""Invisible and control characters, and their escapes."""

from __future__ import annotations

import re
import unicodedata

# Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties.txt, which `unicodedata` does not have.
IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Invisible characters as a regex set: joiners, fillers, tags, variation selectors, direction marks."""

JOINERS = "\u200c\u200d"
"""The joiners, which emoji, Persian and Indic scripts require."""

_LINES = "\u2028\u2029"
_ANNOTATIONS = "\ufff9-\ufffb"
_FORBIDDEN = rf"\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff{_LINES}{_ANNOTATIONS}{IGNORABLE}"
_IN_A_LINE = re.compile(rf"[\t\n{_FORBIDDEN}]")
_IN_LINES = re.compile(rf"[{_FORBIDDEN}]")

# ECMA-48, section 5.4; and the titles of windows.
_TERMINAL = re.compile(r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)|[@-Z\\^_])")

_EMOJI_STYLES = "\ufe0e\ufe0f"
_KEYCAP = "\u20e3"
# A joiner after letters of scripts without case (Arabic, Devanagari), their marks, or symbols has a visible effect.
_BEFORE_A_JOINER = frozenset({"Lo", "Mn", "Mc", "So", "Sk"})
_AFTER_A_JOINER = frozenset({"Lo", "So"})


def escape_line(text: str) -> str:
    r"""Escape characters that move the cursor, hide text or break lines.

    Examples are `\x1b`, `\u202e` and `\n`.
    """
    return text if _is_plain(text) else _IN_A_LINE.sub(_escape, text)


def escape_lines(text: str) -> str:
    """Escape like `escape_line`, but keep line breaks and tabs."""
    return text if _is_plain(text) else _IN_LINES.sub(_escape, text.replace("\r\n", "\n"))


def escape_json(text: str) -> str:
    """Escape such characters in JSON; the value stays the same."""
    return text if _is_plain(text) else _IN_LINES.sub(lambda found: _as_json_escape(found[0]), text)


def remove_terminal_sequences(text: str) -> str:
    """Remove the sequences that colour text or move a terminal's cursor."""
    return _TERMINAL.sub("", text) if "\x1b" in text else text


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _escape(found: re.Match[str]) -> str:
    character, text, at = found[0], found.string, found.start()
    if character in _EMOJI_STYLES and _is_after_a_symbol(text, at):
        return character
    if character in JOINERS and _is_between_letters(text, at):
        return character
    return ascii(character)[1:-1]


def _is_after_a_symbol(text: str, at: int) -> bool:
    if text[at + 1 : at + 2] == _KEYCAP:
        return True
    before = text[at - 1 : at]
    return not before.isascii() and unicodedata.category(before)[0] in "SP"


def _is_between_letters(text: str, at: int) -> bool:
    before = text[at - 1 : at] if at else ""
    if before and before in _EMOJI_STYLES:
        before = text[at - 2 : at - 1]
    after = text[at + 1 : at + 2]
    if not before or not after or re.match(f"[{IGNORABLE}]", before):
        return False
    return unicodedata.category(before) in _BEFORE_A_JOINER and unicodedata.category(after) in _AFTER_A_JOINER


def _as_json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
