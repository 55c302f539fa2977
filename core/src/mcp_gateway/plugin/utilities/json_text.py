"""JSON as text: line breaks, lone surrogates, and what is around it."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from contextlib import suppress

_BREAKS = bytes.maketrans(b"\r\n", b"  ")

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def replace_lone_surrogates(message: bytes) -> bytes:
    """Replace lone surrogate escapes in JSON by U+FFFD.

    JavaScript emits them when it truncates text in the middle of a character, and few parsers accept them. Text
    decoders use the same replacement. JSON without lone surrogates is returned as the same object.
    """
    if b"\\ud" not in message and b"\\uD" not in message:
        return message
    fixed = _ESCAPE.sub(lambda found: b"\\ufffd" if found["half"] else found[0], message)
    return message if fixed == message else fixed


def to_line(message: bytes) -> bytes:
    """Return JSON without line breaks, each of which becomes a space.

    In JSON, raw line breaks can occur only between tokens, so the value stays the same. JSON without line breaks is
    returned as the same object.
    """
    if b"\n" in message or b"\r" in message:
        return message.translate(_BREAKS)
    return message


def unwrap_message(text: bytes) -> bytes:
    """Return the JSON-RPC message in a text.

    A byte order mark and blanks before it are left out, and of an array of one that one is taken. Other arrays come
    back as they are.
    """
    if text[:1] == b"{":
        return text
    whole = text.removeprefix(BOM_UTF8).lstrip()
    if whole[:1] != b"[":
        return whole
    from msgspec import DecodeError, Raw, json  # few messages need it

    with suppress(DecodeError, RecursionError, UnicodeError):
        # It ends at the second item: an array may have millions.
        return bytes(json.decode(replace_lone_surrogates(whole), type=tuple[Raw])[0])
    return text
