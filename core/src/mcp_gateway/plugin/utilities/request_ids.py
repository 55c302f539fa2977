"""Ids of the gateway's own requests, as servers send them back."""

from __future__ import annotations

import re

_LONGEST = 18
"""How many digits are read: ids are counted from 1."""

_ID = re.compile(
    rb'(?P<quote>"?)(?P<number>(?:0|[1-9]\d{0,%d})(?:\.\d{1,15})?(?:[eE][+-]?\d{1,2})?)(?P=quote)' % (_LONGEST - 1)
)


def read_own_id(raw: bytes) -> int | None:
    """Read an id of a request of the gateway's, written as JSON.

    Servers return 7 as `7`, `"7"`, `7.0`, `"7.0"` or `7e0`; a progress token is such an id, too. None if it is
    anything else.
    """
    if raw.isdigit() and len(raw) <= _LONGEST:  # nearly always
        return int(raw)
    if (found := _ID.fullmatch(raw)) is None:
        return None
    text = found["number"]
    if text.isdigit():
        return int(text)
    number = float(text)
    return int(number) if number.is_integer() else None
