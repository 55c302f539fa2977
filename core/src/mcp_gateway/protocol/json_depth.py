"""The nesting of JSON, measured and bounded without decoding it."""

from __future__ import annotations

import re
from itertools import accumulate

# A string ends at its quote or, in a broken one, at the end of the text: so each byte is looked at once.
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*\\?"?', re.DOTALL)
_STRING_OR_BRACKET = re.compile(_STRING.pattern + rb"|[\[\]{}]", re.DOTALL)
_OTHER_BYTES = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def json_depth(raw: bytes) -> int:
    """Return how many levels of objects and arrays a value has."""
    brackets = _STRING.sub(b"", raw).translate(None, _OTHER_BYTES)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)


def cut_depth(raw: bytes, max_depth: int) -> bytes:
    """Replace each object and array below `max_depth` levels by 0."""
    kept, begin, depth = list[bytes](), 0, 0
    for found in _STRING_OR_BRACKET.finditer(raw):
        step = _STEPS.get(raw[found.start()], 0)
        if step > 0 and depth == max_depth:
            kept += raw[begin : found.start()], b"0"
        elif step < 0 and depth == max_depth + 1:
            begin = found.end()
        depth += step
    if depth <= max_depth:
        kept.append(raw[begin:])
    return b"".join(kept)
