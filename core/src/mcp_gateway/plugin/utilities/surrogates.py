"""Replacement of lone UTF-16 surrogate escapes in JSON.

JavaScript emits them when it truncates text in the middle of a character, and few parsers accept them.
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def replace_lone_surrogates(message: bytes) -> bytes:
    """Replace lone surrogate escapes in JSON by U+FFFD.

    Text decoders use the same replacement. JSON without lone surrogates is returned as the same object.
    """
    if b"\\ud" not in message and b"\\uD" not in message:
        return message
    fixed = _ESCAPE.sub(lambda found: b"\\ufffd" if found["half"] else found[0], message)
    return message if fixed == message else fixed
