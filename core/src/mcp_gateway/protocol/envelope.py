"""JSON-RPC envelopes: read once, with the payload as it came; and written around encoded payloads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import mcp_types as types
from mcp.shared.exceptions import MCPError
from msgspec import UNSET, DecodeError, Raw, Struct, UnsetType
from msgspec.json import Decoder
from pydantic_core import from_json

from mcp_gateway.plugin import replace_lone_surrogates
from mcp_gateway.protocol.raw_json import Fields, members



_LONGEST_NUMBER = 1000
"""How many digits an id may have: Python reads no integer of more than 4,300."""

_DIGITS = tuple(b"%c" % digit for digit in b"-0123456789")


class Message(Struct, gc=False):
    """The envelope of a message; a member that is not there is UNSET."""

    id: Raw | UnsetType = UNSET
    method: str | UnsetType = UNSET
    params: Raw | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET

    @property
    def fields(self) -> Fields:
        """The members of the params; none if the params are no object."""
        return {} if self.params is UNSET or bytes(self.params)[:1] != b"{" else members(self.params)


class ServerError(MCPError):
    """A server's own JSON-RPC error, as opposed to one that a transport answers with in its place."""


_message = Decoder(Message)
_ids = Decoder()


def parse_message(message: bytes) -> Message:
    """Read an envelope.

    Raises:
        ValueError: it is no JSON object in UTF-8, or nested too deeply.

    """
    try:
        return _decode(message)
    except (DecodeError, UnicodeDecodeError):
        # JavaScript cuts text in the middle of surrogate pairs.
        if (whole := replace_lone_surrogates(message)) is message:
            raise
        return _decode(whole)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _decode(message: bytes) -> Message:
    # msgspec does not look at the UTF-8 of what it does not parse; nearly all messages are ASCII, which is told at once.
    if not message.isascii():
        message.decode()
    return _message.decode(message)


def parse_result(response: bytes, server: str = "the server") -> dict[str, Any]:
    """Read a response whole, and return its result.

    Raises:
        ServerError: the response is an error, or cannot be read.

    """
    try:
        answer = parse_message(response)
        error = UNSET if answer.error is UNSET or bytes(answer.error) == b"null" else answer.error
        # `cache_strings` and no model: definitions of thousands of tools take a fifth of the memory so.
        result = from_json(bytes(answer.result), cache_strings="keys") if error is UNSET else None
    except (ValueError, TypeError, RecursionError) as problem:
        raise ServerError(types.INTERNAL_ERROR, f"{server} sent a response that cannot be read: {problem}") from None
    if error is not UNSET:
        raise read_error(bytes(error))
    if not isinstance(result, dict):
        raise ServerError(types.INTERNAL_ERROR, f"{server} sent a response without a result")
    return result


def read_error(error: bytes) -> ServerError:
    """Read the error of a response; one of an odd shape keeps its words.

    Without a code that is an integer it gets -32603.
    """
    try:
        found = from_json(replace_lone_surrogates(error))
    except (ValueError, RecursionError):
        return ServerError(types.INTERNAL_ERROR, "an error that cannot be read")
    if not isinstance(found, dict):
        return ServerError(types.INTERNAL_ERROR, _text(found))
    code, message, data = found.get("code"), _text(found.get("message", "")), found.get("data")
    if isinstance(code, float) and code.is_integer():
        code = int(code)
    if isinstance(code, str):
        number = code.strip()
        if number.removeprefix("-").isdecimal() and len(number) <= len("-2147483648"):
            code = int(number)
        else:
            message = f"{code}: {message}" if message else code
    if isinstance(code, bool) or not isinstance(code, int):
        code = types.INTERNAL_ERROR
    return ServerError(code, message, data)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def encode(value: object) -> bytes:
    """Encode a value as compact JSON in UTF-8; halves of surrogate pairs become U+FFFD.

    Raises:
        RecursionError: it is nested too deeply.

    """
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return replace_lone_surrogates(json.dumps(value, separators=(",", ":")).encode())


def encode_request(request_id: int, method: str, params: bytes) -> bytes:
    """Encode a request of the gateway's; `params` is JSON."""
    return b'{"jsonrpc":"2.0","id":%d,"method":"%b","params":%b}' % (request_id, method.encode(), params)


def encode_notification(method: str, params: Mapping[str, Any] | None) -> bytes:
    """Encode a notification; without params it has none."""
    content = b"" if params is None else b',"params":%b' % encode(params)
    return b'{"jsonrpc":"2.0","method":%b%b}' % (encode(method), content)


def encode_result(request_id: bytes, result: bytes) -> bytes:
    """Encode a response; `request_id` is the peer's, byte for byte."""
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (request_id, result)


def encode_error(request_id: bytes, error: MCPError) -> bytes:
    """Encode an error response; `request_id` is the peer's, byte for byte."""
    body: dict[str, Any] = {"code": error.code, "message": error.error.message}
    if error.error.data is not None:
        body["data"] = error.error.data
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (request_id, encode(body))


def read_id(raw: bytes) -> str | int | float | None:
    """Read an id; what is neither text nor a number of a sensible length is None."""
    if raw[:1] == b'"':
        found = _ids.decode(raw)
        return found if isinstance(found, str) else None
    if len(raw) <= _LONGEST_NUMBER and raw[:1] in _DIGITS:
        return int(raw) if raw.removeprefix(b"-").isdigit() else float(raw)
    return None
