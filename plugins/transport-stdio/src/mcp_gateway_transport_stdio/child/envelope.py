"""Envelopes of the lines of a server: which message a line is.

A line is looked into no further than that: what is in a message is for those who need it. NaN, Infinity and numbers of
any length pass, as do halves of surrogate pairs, control characters and bytes that are no UTF-8 in a text; who cannot
parse them says so.
"""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from typing import Any, NamedTuple

from msgspec import UNSET, DecodeError, Raw, Struct, UnsetType
from msgspec.json import Decoder

from mcp_gateway.plugin import read_own_id
from mcp_gateway_transport_stdio.framing import OversizedLine, to_utf8

# The two orders of members that programs write.
_BEGINNING = re.compile(rb'\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*(\d{1,15})\s*,\s*"(?:result|error)"\s*:')
_ENDING = re.compile(rb',\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*(\d{1,15})\s*\}\Z')
_ESCAPE_CODES = re.compile(rb"(?:\x1b\[[\d;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\))+")
_RESULT = b'{"result":'
_LONGEST_ENDING = 64
_SIGNS_OF_A_RESPONSE = 2
"""How many of `jsonrpc`, an outcome and an id a response has at least: programs log JSON with one of them, too."""


class Message(NamedTuple):
    """A message, with the id of the request that it answers."""

    content: bytes
    answered_id: int | None
    is_unnamed_error: bool = False
    """Whether it is an error that does not say which request it answers."""


class _Members(Struct):
    """Members of a message, as JSON."""

    jsonrpc: Raw | UnsetType = UNSET
    id: Raw | UnsetType = UNSET
    method: Raw | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET


_members = Decoder(_Members)
_array = Decoder(list[Raw])


def match_response(line: bytes) -> int | None:
    """Return the id of a response in a usual order of members.

    The rest of the line is not looked at.
    """
    found = _BEGINNING.match(line)
    if found is None and line.startswith(_RESULT):
        found = _ENDING.search(line, max(0, len(line) - _LONGEST_ENDING))
    return None if found is None else int(found[1])


def parse_message(line: bytes) -> Message | None:
    """Parse a line; None if it is no message of JSON-RPC.

    An array of one message is that message, and a byte order mark is skipped, as is what a terminal does not show
    before a message: a line that was written over, and escape codes.
    """
    line = _strip_terminal_codes(line.removeprefix(BOM_UTF8).strip())
    if line.startswith(b"[") and line.endswith(b"]"):
        line = line[1:-1].strip()
    if not (line.startswith(b"{") and line.endswith(b"}")):
        return None
    try:
        members: _Members | None = _members.decode(line)
    except DecodeError:
        members = _decode_leniently(to_utf8(line))
    except RecursionError:
        members = _decode_ends(line)
    return None if members is None else _message(line, members)


def split_batch(line: bytes) -> list[bytes]:
    """Return the messages of a batch (specification 2025-03-26).

    There are none if the line is no array of several.
    """
    if not (line.startswith(b"[") and line.endswith(b"]")):
        return []
    try:
        found = [bytes(part) for part in _array.decode(line)]
    except (DecodeError, RecursionError):
        return []
    return [part for part in found if part.startswith(b"{")] if len(found) > 1 else []


def _strip_terminal_codes(line: bytes) -> bytes:
    """Return a line without what a terminal hides at its beginning."""
    if line[:1] in (b"{", b"["):
        return line
    line = line[line.rfind(b"\r") + 1 :]
    found = _ESCAPE_CODES.match(line)
    return line if found is None else line[found.end() :]


def _message(content: bytes, members: _Members) -> Message | None:
    is_declared = members.jsonrpc is not UNSET and bytes(members.jsonrpc) == b'"2.0"'
    # Serializers of some languages write all members of a type, and null for those without a value.
    if members.method is not UNSET and bytes(members.method) != b"null":
        # Programs log JSON with a method, too.
        return Message(content, None) if is_declared and bytes(members.method)[:1] == b'"' else None
    has_outcome = members.result is not UNSET or members.error is not UNSET
    written_id = b"null" if members.id is UNSET else bytes(members.id)
    if is_declared + has_outcome + (written_id != b"null") < _SIGNS_OF_A_RESPONSE:
        return None
    answered_id = read_own_id(written_id)
    is_error = is_declared and members.error is not UNSET and bytes(members.error) != b"null"
    return Message(content, answered_id, is_error and answered_id is None)


def _decode_leniently(content: bytes) -> _Members | None:
    """Decode what few decoders take, NaN for example."""
    try:
        found: Any = json.loads(content, strict=False, parse_int=_keep, parse_float=_keep, parse_constant=_keep)
    except (ValueError, RecursionError):
        return None
    return _Members(**{name: _encode(found[name]) for name in _Members.__struct_fields__ if name in found})


def _decode_ends(content: bytes) -> _Members | None:
    """Read the id of what is nested too deeply at its ends."""
    found = OversizedLine.of(content)
    if found.id is None or found.is_request:
        return None
    return _Members(jsonrpc=Raw(b'"2.0"'), id=Raw(found.id))


class _Number(str):
    """A number as it was written."""

    __slots__ = ()


def _keep(text: str) -> _Number:
    return _Number(text)


def _encode(value: object) -> Raw:
    """Return what tells members apart, as JSON."""
    if isinstance(value, _Number):
        return Raw(value.encode())
    return Raw(json.dumps(value).encode() if isinstance(value, str) else b"null")
