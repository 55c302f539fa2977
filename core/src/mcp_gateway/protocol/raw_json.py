"""Raw JSON: objects split into members and joined again without parsing.

Values that pass through stay the same byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

from msgspec import DecodeError, Raw
from msgspec.json import Decoder, Encoder
from pydantic_core import from_json

from mcp_gateway.plugin import replace_lone_surrogates

Fields = Mapping[str, Raw | bytes]
"""The members of a JSON object, with undecoded values."""

NO_MEMBERS: Fields = MappingProxyType({})
"""An object without members."""

_BRACE = ord("{")

_fields = Decoder(dict[str, Raw])
_text = Decoder(str)
_encode = Encoder().encode


def members(raw: Raw | bytes) -> dict[str, Raw | bytes]:
    """Return the members of a JSON object.

    Raises:
        ValueError: it is none, or nested too deeply.

    """
    try:
        found = _fields.decode(raw)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except DecodeError:
        # JavaScript cuts text in the middle of surrogate pairs, also in names.
        if (whole := replace_lone_surrogates(bytes(raw))) == bytes(raw):
            raise
        found = _fields.decode(whole)
    return cast("dict[str, Raw | bytes]", found)


def is_object(raw: Raw | bytes | None) -> bool:
    """Whether a member is there, and an object."""
    return raw is not None and memoryview(raw)[0] == _BRACE


def encode_object(fields: Fields) -> bytes:
    """Encode an object from encoded members."""
    pieces: list[Raw | bytes] = []
    for name, value in fields.items():
        pieces += (b",", _encode(name), b":", value)
    return b"".join([b"{", *pieces[1:], b"}"])


def encode_string(text: str) -> bytes:
    """Encode a string as JSON."""
    return _encode(text)


def encode(value: object) -> bytes:
    """Encode a value as compact JSON in UTF-8; halves of surrogate pairs become U+FFFD.

    Raises:
        RecursionError: it is nested too deeply.

    """
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return replace_lone_surrogates(json.dumps(value, separators=(",", ":")).encode())


def encode_members(value: Mapping[str, Any]) -> dict[str, Raw | bytes]:
    """Encode each member of an object."""
    return {name: encode(member) for name, member in value.items()}


def decode(raw: Raw | bytes) -> Any:
    """Read a value; halves of surrogate pairs become U+FFFD.

    Raises:
        ValueError: it is no JSON, or has a number with thousands of digits.
        RecursionError: it is nested too deeply.

    """
    return from_json(replace_lone_surrogates(bytes(raw)), cache_strings="keys")


def decode_members(fields: Fields) -> dict[str, Any]:
    """Read each member of an object; see `decode`."""
    return {name: decode(raw) for name, raw in fields.items()}


def decode_text(raw: Raw | bytes) -> str:
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
    """Read one member of an object, None if it is not there; see `decode`."""
    raw = fields.get(name)
    return None if raw is None else decode(raw)
