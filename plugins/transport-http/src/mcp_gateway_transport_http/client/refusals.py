"""Interpretation of responses that are not messages.

It is shared by the fast path and the SDK path.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from mcp.shared.exceptions import MCPError

from mcp_gateway.plugin import TransportFault
from mcp_gateway_transport_http.client.response_limits import LimitExceeded
from mcp_gateway_transport_http.client.session_loss import MAX_WORDS, is_session_unknown
from mcp_gateway_transport_http.fast_path.sse import SseParser

Json = dict[str, Any]

SESSION_CODE = b"-32001"
"""The JSON-RPC error code of SDKs for an unknown session, sent by some of them with HTTP status 200."""

_OF_A_REQUEST = frozenset({-32602, -32601})
"""Invalid params and unknown methods: if their text mentions sessions, it means the request."""

_ASKING_TO_WAIT = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class Answer:
    """The parts of a server's response that are interpreted.

    `challenge` is the header `WWW-Authenticate`, `location` the header `Location`.
    """

    status: int
    content_type: str
    body: bytes = b""
    retry_after: str = ""
    location: str = ""
    challenge: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The error for a response without a message: fault, text and data."""

    fault: TransportFault
    message: str
    data: Mapping[str, object] = field(default_factory=dict)

    @property
    def error(self) -> MCPError:
        """The JSON-RPC error."""
        return MCPError(int(self.fault), self.message, dict(self.data))


def is_message_status(status: int) -> bool:
    """Whether a response with this status has the message as its body."""
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES and status != HTTPStatus.ACCEPTED


def refusal_of(answer: Answer, session_id: str | None) -> Refusal | None:
    """Return the error for a response without a message.

    None if the response has the server's own JSON-RPC error.
    """
    status, envelope = answer.status, rpc_error(answer.body, answer.content_type)
    error = None if envelope is None else envelope["error"]
    if status < HTTPStatus.BAD_REQUEST:
        return Refusal(TransportFault.UNREACHABLE, _elsewhere(answer), {"status": status})
    if session_id is not None and _is_lost(answer, error, session_id):
        return Refusal(TransportFault.SESSION_LOST, status_line(status), {"status": status})
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Refusal(TransportFault.UNAUTHORIZED, status_line(status), _data(answer))
    asks_to_wait = status in _ASKING_TO_WAIT and answer.retry_after
    if error is not None and not asks_to_wait:
        return None
    message = f" ({error['message']})" if error is not None else ""
    return Refusal(TransportFault.UNREACHABLE, status_line(status) + message, _data(answer))


def session_loss_of(message: bytes, session_id: str | None) -> Refusal | None:
    """Return the error of a message that reports a lost session."""
    if session_id is None or len(message) > MAX_WORDS or SESSION_CODE not in message:
        return None
    envelope = rpc_error(message)
    if envelope is None or envelope["error"]["code"] != int(SESSION_CODE):
        return None
    words = envelope["error"]["message"].encode(errors="replace")
    if not is_session_unknown(HTTPStatus.OK, words, session_id):
        return None
    return Refusal(TransportFault.SESSION_LOST, f"error {SESSION_CODE.decode()}", {"status": int(HTTPStatus.OK)})


def wrong_kind(content_type: str) -> Refusal:
    """Return the error for a body that is neither JSON nor events."""
    kind = content_type.partition(";")[0].strip() or "something unnamed"
    return Refusal(TransportFault.UNREACHABLE, f"it answered with {kind} instead of JSON", {"status": 502})


def rpc_error(body: bytes, content_type: str = "") -> Json | None:
    """Return the JSON-RPC error of a body, its envelope completed.

    It may also come as an event.
    """
    if content_type.startswith("text/event-stream"):
        try:
            body = next(SseParser().parse(body + b"\n\n"), b"")
        except LimitExceeded:
            return None
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return None
    error = payload.get("error") if isinstance(payload, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("code"), int):
        return None
    return {"jsonrpc": "2.0", "id": None, **payload} if isinstance(error.get("message"), str) else None


def status_line(status: int) -> str:
    """Return a status in words."""
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def _is_lost(answer: Answer, error: Json | None, session_id: str) -> bool:
    if "invalid_token" in answer.challenge.lower():  # RFC 6750: the token is unknown, not the session
        return False
    if error is not None and error["code"] in _OF_A_REQUEST and answer.status != HTTPStatus.NOT_FOUND:
        return False
    return is_session_unknown(answer.status, answer.body, session_id)


def _data(answer: Answer) -> Json:
    return {"status": answer.status, **({"retryAfter": answer.retry_after} if answer.retry_after else {})}


def _elsewhere(answer: Answer) -> str:
    """Describe a response that is not a message, with a redirect's target."""
    status = status_line(answer.status)
    if not answer.location:
        return f"it answered {status} instead of a message"
    return f"it answered {status} and leads to {_mask_location(answer.location)}; if that is meant, configure that URL"


def _mask_location(location: str) -> str:
    """Return a location without parts that may contain secrets."""
    try:
        parts = urlsplit(location)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))[:500]
    except ValueError:
        return "an address that cannot be read"
