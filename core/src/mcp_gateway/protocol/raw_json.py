"""Raw JSON: objects split into members and joined again without parsing.

Values that pass through stay the same byte for byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import DecodeError, Raw
from msgspec.json import Decoder, Encoder
from pydantic_core import from_json

from mcp_gateway.plugin import replace_lone_surrogates

Fields = Mapping[str, Raw]
"""The members of a JSON object, with undecoded values. Never `bytes`: the encoder would take them for binary data."""

NO_MEMBERS: Fields = {}
"""An object without members; it is not changed."""

_BRACE = ord("{")

_CONSTANTS = re.compile(rb'("(?:[^"\\]|\\.)*+"?)|-?(?:NaN|Infinity)', re.DOTALL)
"""What some parsers take for numbers; and texts, in which they may stand."""


class UnreadableJson(ValueError):
    """JSON that Python does not read.

    It is none, is nested too deeply, or has numbers of thousands of digits.
    """


_fields = Decoder(dict[str, Raw])
_text = Decoder(str)
_encoder = Encoder()


def members(raw: Raw | bytes) -> dict[str, Raw]:
    """Return the members of a JSON object.

    Raises:
        ValueError: it is none, or nested too deeply.

    """
    try:
        return _fields.decode(raw)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except DecodeError:
        # JavaScript cuts text in the middle of surrogate pairs, also in names.
        if (whole := replace_lone_surrogates(bytes(raw))) == bytes(raw):
            raise
        return _fields.decode(whole)


def is_object(raw: Raw | None) -> bool:
    """Whether a member is there, and an object."""
    return raw is not None and memoryview(raw)[0] == _BRACE


def replace_constants(message: bytes) -> bytes:
    """Replace NaN and Infinity, which are no JSON, by null.

    A message without them is returned as the same object.
    """
    if b"NaN" not in message and b"Infinity" not in message:
        return message
    return _CONSTANTS.sub(lambda found: found[1] or b"null", message)


encode_object: Callable[[Mapping[str, Any]], bytes] = _encoder.encode
"""Encodes an object from members that are `Raw`, or objects of such."""


def encode_string(text: str) -> bytes:
    """Encode a string as JSON."""
    return _encoder.encode(text)


def encode(value: object) -> bytes:
    """Encode a value as compact JSON; lone surrogates become U+FFFD.

    Raises:
        ValueError: it has a number that JSON has no form for: NaN, or infinity, as 1e999 decodes to.
        RecursionError: it is nested too deeply.

    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return replace_lone_surrogates(json.dumps(value, allow_nan=False, separators=(",", ":")).encode())


def encode_raw(value: object) -> Raw:
    """Encode a value to be a member of an object."""
    return Raw(encode(value))


def encode_members(value: Mapping[str, Any]) -> dict[str, Raw]:
    """Encode each member of an object."""
    return {name: encode_raw(member) for name, member in value.items()}


def decode(raw: Raw | bytes) -> Any:
    """Decode a value; lone surrogates become U+FFFD.

    Raises:
        UnreadableJson: it is no JSON (as NaN), nested too deeply, or has a number with thousands of digits.

    """
    try:
        return from_json(replace_lone_surrogates(bytes(raw)), allow_inf_nan=False, cache_strings="keys")
    except (ValueError, RecursionError) as error:
        raise UnreadableJson(str(error)) from None


def decode_members(fields: Fields) -> dict[str, Any]:
    """Decode each member of an object; see `decode`."""
    return {name: decode(raw) for name, raw in fields.items()}


def decode_text(raw: Raw) -> str:
    """Read a string.

    Raises:
        ValueError: it is none.

    """
    try:
        return _text.decode(raw)
    except DecodeError:
        found = decode(raw)
        if not isinstance(found, str):
            raise
        return found


def decode_member(fields: Fields, name: str) -> Any:
    """Decode one member of an object; None if it is missing."""
    raw = fields.get(name)
    return None if raw is None else decode(raw)
