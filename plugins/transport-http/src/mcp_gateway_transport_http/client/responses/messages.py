"""Messages in a response: which of them answers the request.

Only envelopes are read; what is in them is for others to read.
"""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from enum import Enum, auto
from typing import Any

from msgspec import UNSET, DecodeError, Raw, Struct, UnsetType
from msgspec import json as rpc

from mcp_gateway.plugin import read_own_id, replace_lone_surrogates

_BLANK = b" \t\r\n"

# Where servers write the id of a response: before its result (Python), or at the end (TypeScript).
_ID_FIRST = re.compile(rb'\{"jsonrpc":\s?"2\.0",\s?"id":\s?(\d{1,18}),\s?"(?:result|error)":\s?\{')
_ID_LAST = re.compile(rb'\},"jsonrpc":"2\.0","id":(\d{1,18})\}\Z')
# Nothing else begins so: what has a method is a notification or a request, whatever else it has.
_METHOD_FIRST = re.compile(rb'\{(?:"jsonrpc":\s?"2\.0",\s?)?"method":\s?"')
_RESULT_FIRST = (b'{"result":{', b'{"error":{')
_TAIL_BYTES = 64


class Kind(Enum):
    """What a message is to the request on whose stream it came."""

    RESPONSE = auto()
    UNNAMED = auto()
    """An error without an id that could be a request's: the response, if no other comes."""
    FOREIGN = auto()
    """A response to another request."""
    OTHER = auto()
    """A notification, or a request of the server's."""
    NONE = auto()
    """No message."""


class _Envelope(Struct):
    id: Raw | UnsetType = UNSET
    method: str | None = None
    result: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET


_envelope = rpc.Decoder(_Envelope)
_list = rpc.Decoder(list[Raw])


def is_plain_response(message: bytes, request_id: int) -> bool:
    """Whether this is a response to that request in the usual form.

    Nothing is parsed, so a message of any length takes the same time; False says nothing.
    """
    found = _ID_FIRST.match(message)
    if found is None and message.startswith(_RESULT_FIRST):
        found = _ID_LAST.search(message, max(0, len(message) - _TAIL_BYTES))
    return found is not None and int(found[1]) == request_id


def kind_of(message: bytes, request_id: int) -> Kind:
    """Return what a message is to a request.

    Ids are compared leniently, as some servers write 7 as "7", 7.0 or "7.0".
    """
    if is_plain_response(message, request_id):
        return Kind.RESPONSE
    if _METHOD_FIRST.match(message) and message.endswith(b"}"):
        return Kind.OTHER
    envelope = _read_envelope(message)
    return Kind.NONE if envelope is None else _kind_of_envelope(envelope, request_id)


def _kind_of_envelope(envelope: _Envelope, request_id: int) -> Kind:
    if envelope.method is not None:
        return Kind.OTHER
    has_error = envelope.error is not UNSET and bytes(envelope.error) != b"null"
    written_id = b"null" if envelope.id is UNSET else bytes(envelope.id)
    if not has_error and (envelope.result is UNSET or written_id == b"null"):
        return Kind.NONE
    answered_id = read_own_id(written_id)
    if answered_id is None and has_error:
        return Kind.UNNAMED
    return Kind.RESPONSE if answered_id == request_id else Kind.FOREIGN


def split_messages(text: bytes) -> list[bytes]:
    """Return the messages of a text, which may be an array."""
    text = strip_mark(text)
    if not text.startswith(b"["):
        return [text]
    try:
        return [bytes(message) for message in _list.decode(text)]
    except (DecodeError, RecursionError):
        return []


def strip_mark(text: bytes) -> bytes:
    """Return a text without a byte order mark and blanks before it.

    A text without them comes back as the same object.
    """
    return text if text[:1] in (b"{", b"[") else text.removeprefix(BOM_UTF8).lstrip(_BLANK)


def looks_like_json(text: bytes) -> bool:
    """Whether a text begins as an object or an array does."""
    if text[:1].isalpha():  # a field of an event, nearly always
        return False
    return strip_mark(text[:_TAIL_BYTES])[:1] in (b"{", b"[")


def method_of(message: bytes) -> str:
    """Return the method of a message, or an empty text."""
    envelope = _read_envelope(message)
    return "" if envelope is None else envelope.method or ""


def negotiated_version(response: bytes) -> str:
    """Return the protocol version in a response to `initialize`.

    Empty if there is none.
    """
    try:
        version = json.loads(strip_mark(response))["result"]["protocolVersion"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return version if isinstance(version, str) and version.isascii() and version.isprintable() else ""


def _read_envelope(message: bytes) -> _Envelope | None:
    try:
        return _envelope.decode(message)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return _read_odd_envelope(message)


def _read_odd_envelope(message: bytes) -> _Envelope | None:
    """Read the envelope of JSON that only Python reads.

    It has NaN, or halves of surrogates.
    """
    if not message.startswith(b"{"):
        return None
    try:
        # A number of thousands of digits takes quadratic time, and raises.
        found: Any = json.loads(replace_lone_surrogates(message), parse_int=_parse_int)
    except (ValueError, RecursionError):
        return None
    method = found.get("method")
    if not isinstance(method, str | None):
        return None
    id_ = Raw(json.dumps(found["id"]).encode()) if "id" in found else UNSET
    result = UNSET if "result" not in found else Raw(b"0")
    error = UNSET if "error" not in found else Raw(b"null" if found["error"] is None else b"0")
    return _Envelope(id_, method, result, error)


def _parse_int(digits: str) -> int | float:
    return int(digits) if len(digits) < _TAIL_BYTES else 0
