"""Raw JSON: splitting and joining without parsing.

Values that pass through stay the same byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from json import loads

from msgspec import UNSET, DecodeError, Raw, Struct, UnsetType, field, json

from mcp_gateway.plugin import replace_lone_surrogates

Fields = dict[str, Raw]
"""The members of a JSON object, with undecoded values."""

_LONGEST_NUMBER = 1000
"""How many digits an id may have; Python refuses to parse numbers of more than 4300 digits."""

_fields = json.Decoder(Fields)
_encode = json.Encoder().encode


class CallParams(Struct, forbid_unknown_fields=True):
    """The params of a plain `tools/call`; others do not parse."""

    name: str
    arguments: Raw | UnsetType = UNSET
    meta: Fields = field(name="_meta", default_factory=dict)


class Call(Struct, forbid_unknown_fields=True):
    """A plain `tools/call`; other messages do not parse."""

    jsonrpc: str
    id: Raw
    method: str
    params: CallParams

    @property
    def request_id(self) -> str | int:
        """The decoded id."""
        found: str | int = loads(bytes(self.id)) if bytes(self.id)[:1] == b'"' else int(bytes(self.id))
        return found


class ListParams(Struct, forbid_unknown_fields=True):
    """The params of a plain `tools/list`; others do not parse."""

    meta: Fields = field(name="_meta", default_factory=dict)


class List(Struct, forbid_unknown_fields=True):
    """A plain `tools/list`; other messages do not parse."""

    jsonrpc: str
    id: Raw
    method: str
    params: ListParams = field(default_factory=ListParams)


class RemoteCall(Struct, forbid_unknown_fields=True):
    """The arguments of a plain `call_remote_tool`; others do not parse."""

    tool_name: str
    arguments: Raw | UnsetType = UNSET


# Other members are ignored, unlike in requests, because only these two are passed on.
class Answer(Struct):
    """A server's response."""

    result: Fields | UnsetType = UNSET
    error: Raw | UnsetType = UNSET


_call = json.Decoder(Call)
_list = json.Decoder(List)
_remote = json.Decoder(RemoteCall)
_answer = json.Decoder(Answer)


def parse_call(message: bytes) -> Call | None:
    """Parse a message as a plain `tools/call`, or return None."""
    try:
        call = _call.decode(_validate_utf8(message))
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None
    plain = call.method == "tools/call" and call.jsonrpc == "2.0" and _is_id(bytes(call.id))
    return call if plain and _is_object(call.params.arguments) else None


def parse_list(message: bytes) -> List | None:
    """Parse a message as a plain `tools/list`, or return None."""
    # Most messages are calls: this check saves decoding them twice.
    if b'"tools/list"' not in message:
        return None
    try:
        asked = _list.decode(_validate_utf8(message))
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None
    plain = asked.method == "tools/list" and asked.jsonrpc == "2.0" and _is_id(bytes(asked.id))
    return asked if plain else None


def parse_remote_call(arguments: Raw | UnsetType) -> RemoteCall | None:
    """Parse plain arguments of `call_remote_tool`, or return None."""
    try:
        call = _remote.decode(arguments) if arguments is not UNSET else None
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return call if call is not None and _is_object(call.arguments) else None


def parse_response(message: bytes) -> tuple[Fields | None, bytes | None]:
    """Parse a response into result members or raw error.

    Raises:
        ValueError: the message is not a response.

    """
    try:
        answer = _decode_answer(message)
        if answer.result is not UNSET:
            return answer.result, None
    except DecodeError as error:
        raise ValueError(str(error)) from error
    if answer.error is not UNSET:
        return None, bytes(answer.error)
    raise ValueError("neither a result nor an error")


def _decode_answer(message: bytes) -> Answer:
    try:
        return _answer.decode(_validate_utf8(message))
    except DecodeError:
        if (whole := replace_lone_surrogates(message)) is message:
            raise
        return _answer.decode(_validate_utf8(whole))


def members(raw: Raw) -> Fields:
    """Return the members of a JSON object."""
    return _fields.decode(raw)


def encode_object(fields: Mapping[str, Raw | bytes]) -> list[Raw | bytes]:
    """Encode an object from encoded members, as pieces to join."""
    pieces: list[Raw | bytes] = []
    for name, value in fields.items():
        pieces += (b",", _encode(name), b":", value)
    return [b"{", *pieces[1:], b"}"]


def encode_string(text: str) -> bytes:
    """Encode a string as JSON."""
    return _encode(text)


def _validate_utf8(message: bytes) -> bytes:
    """Return the message after validating its UTF-8.

    msgspec does not validate the parts that it leaves undecoded (`Raw`).

    Raises:
        UnicodeDecodeError: the message is not valid UTF-8.

    """
    # A fast path, because most messages are ASCII.
    if not message.isascii():
        message.decode()
    return message


def _is_id(raw: bytes) -> bool:
    return raw[:1] == b'"' or (len(raw) <= _LONGEST_NUMBER and raw.removeprefix(b"-").isdigit())


def _is_object(raw: Raw | UnsetType) -> bool:
    return raw is UNSET or bytes(raw)[:1] == b"{"
