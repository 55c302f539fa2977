"""Values of HTTP headers, as people and clients give them."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def has_control_characters(value: str) -> bool:
    """Whether a value has characters that no header may have.

    A line break in it would begin another header.
    """
    return _CONTROL.search(value) is not None


def encode_header_value(value: str) -> bytes:
    """Encode the value of a header as Latin-1, else as UTF-8.

    Latin-1 restores the bytes of a forwarded header.
    """
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()
