"""Replies to plain requests: the message in them, or what went wrong."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from msgspec import DecodeError, Struct, json

from mcp_gateway.plugin import NotSent, ServerUnavailable, mended
from mcp_gateway_transport_http.limits import LimitExceeded
from mcp_gateway_transport_http.pieces import Pieces


class ConnectionLost(Exception):
    """The connection closed before the response was complete."""


@dataclass(slots=True)
class Reply:
    """A response: its body, or, while the server is still sending events, the pieces of it."""

    status: int
    content_type: bytes
    body: bytes = b""
    pieces: Pieces | None = None
    retry_after: str = ""


ReplyFn = Callable[[Reply | ConnectionLost | LimitExceeded], None]
"""Hears the response to a request, or why there is none."""


class _Head(Struct):
    """What tells whether a message is the response to a request."""

    id: int | str | float | None = None
    method: str | None = None
    error: object = None


_head = json.Decoder(_Head)


def message_of(reply: Reply) -> bytes:
    """Return the message that a response holds, if it says that it is JSON."""
    if not reply.content_type.startswith(b"application/json"):
        kind = reply.content_type.partition(b";")[0].decode("latin-1").strip()
        raise ServerUnavailable(f"it answered with {kind or 'something unnamed'} instead of JSON")
    return reply.body.removeprefix(BOM_UTF8)


def refusal_of(reply: Reply, *, in_session: bool) -> bytes:
    """Return the JSON-RPC error of a refusal; refusals that the other way explains better are sent there."""
    status = reply.status
    explained = status in (401, 403, 404) or status < HTTPStatus.BAD_REQUEST
    if explained or (status == HTTPStatus.BAD_REQUEST and in_session):
        raise NotSent(f"HTTP {status}")
    try:
        head = _head.decode(reply.body)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        head = _Head()
    if head.error is None:
        asked = f"; it asks to wait (Retry-After: {reply.retry_after})" if reply.retry_after else ""
        raise ServerUnavailable(f"it answered HTTP {status}{asked}")
    return reply.body


def answers(event: bytes, request_id: int) -> bool:
    """Whether a message of a stream is the response to a request."""
    try:
        head = _head.decode(mended(event))
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return head.method is None and head.id in (request_id, str(request_id))
