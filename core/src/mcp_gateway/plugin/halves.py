"""Halves of characters: text that was cut in the middle of one, as programs in JavaScript do, few can read."""

from __future__ import annotations

import re

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def mended(message: bytes) -> bytes:
    """Return JSON in which half of a surrogate pair is U+FFFD, as everywhere where text is decoded.

    JSON without such halves comes back as the same object.
    """
    if b"\\ud" not in message and b"\\uD" not in message:
        return message
    fixed = _ESCAPE.sub(lambda found: b"\\ufffd" if found["half"] else found[0], message)
    return message if fixed == message else fixed
