"""Regular expressions of JSON Schema that JavaScript can compile.

The TypeScript SDK 1.x compiles the output schemas of a list with ajv, which takes patterns with the flag `u`: one that
does not compile costs its client the whole list.
"""

from __future__ import annotations

import re

_CLASS_ESCAPE = r"\\[dDwWsS]|\\[pP]\{[A-Za-z_]+(?:=[A-Za-z_]+)?\}"
_CHARACTER = (
    r"\\(?:[fnrtv0](?!\d)|[\^$\\.*+?()\[\]{}|/]|c[A-Za-z]|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|u\{[0-9A-Fa-f]{1,5}\})"
)
# No two alternatives match the same text, so that the time stays linear.
_MEMBER = rf"(?:[^\\\]\-]|\\-|{_CHARACTER})"
_CLASS = rf"\[\^?-?(?:{_MEMBER}(?:-{_MEMBER})?|\\b|{_CLASS_ESCAPE})*-?\]"
_GROUP = r"\((?:\?(?:[:=!]|<[=!]|<[A-Za-z_$][\w$]*>))?"
_TOKEN = re.compile(
    rf"(?P<class>{_CLASS})|(?P<atom>[^\\\^$*+?()\[\]{{}}|]|{_CHARACTER}|{_CLASS_ESCAPE})|(?P<edge>[\^$|]|\\[bB])"
    rf"|(?P<open>{_GROUP})|(?P<close>\))|(?P<quantifier>(?:[*+?]|\{{(?P<low>\d+)(?:,(?P<high>\d*))?\}})\??)",
    re.ASCII,
)
_RANGE = re.compile(rf"({_MEMBER})-({_MEMBER})|{_MEMBER}|{_CLASS_ESCAPE}", re.ASCII)
_LOOKAROUND = ("(?=", "(?!", "(?<=", "(?<!")


def is_portable_pattern(pattern: str) -> bool:
    """Whether a pattern is certain to compile in JavaScript.

    It is on the safe side: references to groups, which are rare, count as not portable.
    """
    position, repeatable = 0, False
    groups: list[bool] = []
    names: list[str] = []
    while position < len(pattern):
        token = _TOKEN.match(pattern, position)
        if token is None or not _is_in_place(token, groups, repeatable=repeatable):
            return False
        text, position = token.group(), token.end()
        repeatable = token.lastgroup in ("atom", "class")
        if token.lastgroup == "open":
            groups.append(not text.startswith(_LOOKAROUND))
            names += [text] if text.endswith(">") else []
        elif token.lastgroup == "close":
            repeatable = groups.pop()
    return not groups and len(names) == len(set(names))


def _is_in_place(token: re.Match[str], groups: list[bool], *, repeatable: bool) -> bool:
    """Whether a token may stand after what comes before it."""
    match token.lastgroup:
        case "close":
            return bool(groups)
        case "quantifier":
            low, high = token["low"], token["high"]
            return repeatable and (not high or int(low) <= int(high))
        case "class":
            ranges = (found.groups() for found in _RANGE.finditer(token.group().removeprefix("[").removeprefix("^")))
            return all(low is None or _code(low) <= _code(high) for low, high in ranges)
    return True


def _code(character: str) -> int:
    """Return the code point of a member of a character class."""
    if len(character) > len("\\x") and character[1] in "xu":
        return int(character[2:].strip("{}"), 16)
    if character[1:2] == "c":
        return ord(character[2]) % 32
    return ord({"f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}.get(character[1:], character[-1]))
