"""JSON-RPC message validation without decoding the whole message."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, DecodeError, Raw, Struct, UnsetType, json


class _Error(Struct):
    code: int
    message: str


class _Message(Struct):
    jsonrpc: Literal["2.0"]
    id: int | str | None = None
    method: str | None = None
    result: Raw | UnsetType = UNSET
    error: _Error | None = None


_message = json.Decoder(_Message)


def is_message(data: bytes | str) -> bool:
    """Whether the data is a request, a notification or a response."""
    try:
        message = _message.decode(data)
    except (DecodeError, RecursionError, UnicodeError):
        return False
    if message.method is not None or message.error is not None:
        return True
    return message.id is not None and message.result is not UNSET and bytes(message.result)[:1] == b"{"
