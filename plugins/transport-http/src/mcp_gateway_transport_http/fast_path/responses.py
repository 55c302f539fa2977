"""Responses to raw requests: the JSON-RPC message, or the error."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Callable
from dataclasses import dataclass

from msgspec import DecodeError, Struct
from msgspec import json as rpc

from mcp_gateway.plugin import replace_lone_surrogates
from mcp_gateway_transport_http.client.refusals import (
    Answer,
    is_message_status,
    refusal_of,
    rpc_error,
    session_loss_of,
    wrong_kind,
)
from mcp_gateway_transport_http.client.response_limits import LimitExceeded
from mcp_gateway_transport_http.fast_path.body_pieces import Pieces


class ConnectionLost(Exception):
    """The connection closed before the response was complete.

    `was_written` unless no byte of the request was.
    """

    def __init__(self, reason: str, *, was_written: bool = True) -> None:
        """Say why."""
        super().__init__(reason)
        self.was_written = was_written


@dataclass(slots=True)
class RawHttpResponse:
    """A response with its body, or its pieces while events come."""

    status: int
    content_type: bytes
    body: bytes = b""
    pieces: Pieces | None = None
    retry_after: str = ""
    location: str = ""
    challenge: str = ""


ReplyFn = Callable[[RawHttpResponse | ConnectionLost | LimitExceeded], None]
"""Hears the response to a request, or why there is none."""


class _Envelope(Struct):
    """Envelope of a message that may be a response."""

    id: int | str | float | None = None
    method: str | None = None
    error: object = None


_head = rpc.Decoder(_Envelope)


def extract_message(reply: RawHttpResponse, session_id: str | None) -> bytes:
    """Return the message that a reply holds.

    Raises:
        MCPError: there is none; the error is the one to answer with in the server's place.

    """
    kind = reply.content_type.decode("latin-1")
    if not is_message_status(reply.status):
        answer = Answer(reply.status, kind, reply.body, reply.retry_after, reply.location, reply.challenge)
        refusal = refusal_of(answer, session_id)
        if refusal is not None:
            raise refusal.error
        return json.dumps(rpc_error(reply.body, kind)).encode() if kind.startswith("text/event-stream") else reply.body
    if not kind.startswith("application/json"):
        raise wrong_kind(kind).error
    return check_session(reply.body.removeprefix(BOM_UTF8), session_id)


def check_session(message: bytes, session_id: str | None) -> bytes:
    """Return a response unless it says that the session is lost.

    Raises:
        MCPError: it says that the session is lost.

    """
    if (lost := session_loss_of(message, session_id)) is not None:
        raise lost.error
    return message


def is_response(event: bytes, request_id: int) -> bool:
    """Whether a message is the response to a request.

    An error without an id is one, too.
    """
    try:
        head = _head.decode(replace_lone_surrogates(event))
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return False
    is_nameless = head.id is None and head.error is not None
    return head.method is None and (is_nameless or head.id in (request_id, str(request_id)))
