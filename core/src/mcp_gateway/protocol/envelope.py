"""JSON-RPC envelopes: parsing that leaves the payload undecoded, and encoding around it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

import mcp_types as types
from mcp.shared.exceptions import MCPError
from msgspec import UNSET, DecodeError, Raw, Struct, UnsetType
from msgspec.json import Decoder

from mcp_gateway.plugin import replace_lone_surrogates
from mcp_gateway.protocol.raw_json import (
    decode,
    decode_members,
    encode,
    encode_object,
    encode_string,
    is_object,
    members,
)

_LONGEST_NUMBER = 1000
"""How many digits an id may have: Python reads no integer of more than 4,300."""

_DIGITS = tuple(b"%c" % digit for digit in b"-0123456789")


class Message(Struct, gc=False):
    """The envelope of a message; absent members are UNSET."""

    jsonrpc: str | UnsetType = UNSET
    id: Raw | UnsetType = UNSET
    method: str | UnsetType = UNSET
    params: Raw | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET

    @property
    def fields(self) -> dict[str, Raw]:
        """The members of the params, if an object, as a new dictionary."""
        return members(self.params) if self.params is not UNSET and is_object(self.params) else {}


MessageT = TypeVar("MessageT")


class ServerError(MCPError):
    """A server's own JSON-RPC error.

    Transports answer with others in its place.
    """


class UnreadableResponse(ServerError):
    """A response that cannot be read; `problem` says why."""

    def __init__(self, problem: Exception) -> None:
        """Say what is wrong with it."""
        self.problem = str(problem)
        super().__init__(types.INTERNAL_ERROR, f"the server sent a response that cannot be read: {problem}")


class RequestMessage(Struct, gc=False):
    """The envelope of a message, with the members of its params."""

    jsonrpc: str | UnsetType = UNSET
    id: Raw | UnsetType = UNSET
    method: str | UnsetType = UNSET
    params: dict[str, Raw] | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET


class _Result(Struct, gc=False):
    """A response, with the members of its result."""

    result: dict[str, Raw] | UnsetType = UNSET
    error: Raw | UnsetType = UNSET


_message = Decoder(Message)
_request = Decoder(RequestMessage)
_result = Decoder(_Result)
_ids = Decoder()


def parse_message(message: bytes) -> Message:
    """Read an envelope.

    Raises:
        ValueError: it is no JSON object in UTF-8, or nested too deeply.

    """
    return _decode(_message, message)


def parse_server_message(message: bytes) -> RequestMessage:
    """Read the envelope and the params of a server's message.

    What is no UTF-8 in it becomes U+FFFD; params that are no object count as absent.

    Raises:
        ValueError: it is no JSON object, or nested too deeply.

    """
    try:
        return parse_request(message)
    except ValueError:
        return _parse_odd_message(message)


def _parse_odd_message(message: bytes) -> RequestMessage:
    try:
        read = parse_message(message)
    except UnicodeDecodeError:
        read = parse_message(message.decode(errors="replace").encode())
    return RequestMessage(read.jsonrpc, read.id, read.method, read.fields, read.result, read.error)


def parse_request(message: bytes) -> RequestMessage:
    """Read the envelope and the params of a message.

    What is no UTF-8 in it becomes U+FFFD.

    Raises:
        ValueError: it is no JSON object, its params are none, or it is nested too deeply.

    """
    try:
        return _decode(_request, message)
    except UnicodeDecodeError:
        return _decode(_request, message.decode(errors="replace").encode())


def _decode(decoder: Decoder[MessageT], message: bytes) -> MessageT:
    try:
        # msgspec does not validate the parts that it leaves undecoded (`Raw`). Most messages are ASCII, told at once.
        if not message.isascii():
            message.decode()
        return decoder.decode(message)
    except (DecodeError, UnicodeDecodeError):
        # JavaScript cuts text in the middle of surrogate pairs.
        if (whole := replace_lone_surrogates(message)) is message:
            raise
        whole.decode()
        return decoder.decode(whole)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def parse_response(response: bytes) -> dict[str, Raw]:
    """Read a response; return the members of its result as they came.

    Raises:
        ServerError: the response is an error.
        UnreadableResponse: it cannot be read.

    """
    try:
        # Nearly always: a result that is an object, and nothing beside it.
        answer = _decode(_result, response)
        if answer.error is UNSET and answer.result is not UNSET:
            return answer.result
    except ValueError:
        pass  # of an error, the result may be anything
    return _parse_odd_response(response)


def _parse_odd_response(response: bytes) -> dict[str, Raw]:
    try:
        answer = parse_server_message(response)
        if (error := find_error(answer)) is None:
            return members(_result_of(answer))
    except ValueError as problem:
        raise UnreadableResponse(problem) from None
    raise read_error(error)


def find_error(response: RequestMessage) -> bytes | None:
    """Return the error of a response, if there is one.

    Serializers of some languages write all members of a type: beside a result an error that says nothing is none.
    """
    if response.error is UNSET:
        return None
    error = bytes(response.error)
    has_result = response.result is not UNSET and is_object(response.result)
    return None if error == b"null" or (has_result and _says_nothing(error)) else error


def _says_nothing(error: bytes) -> bool:
    try:
        found = decode(error)
    except (ValueError, RecursionError):
        return False
    return not (any(found.values()) if isinstance(found, dict) else found)


def _result_of(answer: RequestMessage) -> Raw:
    if answer.result is UNSET:
        raise ValueError("it has neither a result nor an error")
    return answer.result


def parse_result(response: bytes) -> dict[str, Any]:
    """Read a response whole; return its result.

    Raises:
        ServerError: the response is an error.
        UnreadableResponse: it cannot be read.

    """
    fields = parse_response(response)
    try:
        return decode_members(fields)
    except (ValueError, RecursionError) as problem:
        raise UnreadableResponse(problem) from None


def read_error(error: bytes) -> ServerError:
    """Read the error of a response.

    One of an odd shape keeps its words; without a code that is an integer it gets -32603.
    """
    try:
        found = decode(error)
    except (ValueError, RecursionError):
        return ServerError(types.INTERNAL_ERROR, "an error that cannot be read")
    if not isinstance(found, dict):
        return ServerError(types.INTERNAL_ERROR, _text(found))
    code, message, data = found.get("code"), _text(found.get("message", "")), _read_data(found.get("data"), error)
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


def _read_data(data: object, error: bytes) -> object:
    """Return an error's data; as text if it has 1e999."""
    try:
        encode(data)
    except ValueError:
        return bytes(members(error)["data"]).decode(errors="replace")
    return data


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def encode_request(request_id: bytes, method: str, params: bytes) -> bytes:
    """Encode a request of the gateway's; id and params are JSON."""
    return b'{"jsonrpc":"2.0","id":%b,"method":%b,"params":%b}' % (request_id, encode_string(method), params)


def encode_notification(method: str, params: Mapping[str, Any] | None) -> bytes:
    """Encode a notification; without params it has none."""
    content = b"" if params is None else b',"params":%b' % encode(params)
    return b'{"jsonrpc":"2.0","method":%b%b}' % (encode_string(method), content)


def encode_result(request_id: bytes, result: Mapping[str, Any]) -> bytes:
    """Encode a response in one piece.

    `request_id` is the peer's, byte for byte, and `result` has encoded members.
    """
    return encode_object({"jsonrpc": "2.0", "id": Raw(request_id), "result": result})


def encode_error(request_id: bytes, error: MCPError) -> bytes:
    """Encode an error response; `request_id` is the peer's, byte for byte."""
    body: dict[str, Any] = {"code": error.code, "message": error.error.message}
    if error.error.data is not None:
        body["data"] = error.error.data
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (request_id, encode(body))


def read_id(raw: bytes) -> str | int | float | None:
    """Read an id.

    What is neither text nor a number of a sensible length is None.
    """
    if raw.isdigit() and len(raw) <= _LONGEST_NUMBER:  # nearly always
        return int(raw)
    if raw[:1] == b'"':
        found = _ids.decode(replace_lone_surrogates(raw))
        return found if isinstance(found, str) else None
    if len(raw) <= _LONGEST_NUMBER and raw[:1] in _DIGITS:
        return int(raw) if raw.removeprefix(b"-").isdigit() else float(raw)
    return None
