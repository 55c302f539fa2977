"""Interpretation of responses that are not messages.

Statuses, bodies of refusals, and words for a lost session.
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
from mcp_gateway_transport_http.client.carriers.carrier import ResponseHead
from mcp_gateway_transport_http.client.responses.limits import LimitExceeded
from mcp_gateway_transport_http.client.responses.session_loss import MAX_WORDS, is_session_unknown
from mcp_gateway_transport_http.client.responses.sse import SseParser

Json = dict[str, Any]

_SESSION_CODES = frozenset({-32000, -32001, -32600})
"""The JSON-RPC error codes of SDKs for a session that is missing or unknown, which come with HTTP status 200, too."""

_OF_A_REQUEST = frozenset({-32602, -32601})
"""Invalid params and unknown methods: if their text mentions sessions, it means the request."""

_MAX_CHALLENGE = 4096
"""How much of a challenge is kept: scopes, and where the metadata is."""

_ASKING_TO_WAIT = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


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


def refusal_of(head: ResponseHead, body: bytes, session_id: str | None) -> Refusal | None:
    """Return the meaning of a response without a message.

    None if the response has the server's own JSON-RPC error.
    """
    status, envelope = head.status, rpc_error(body, head.content_type)
    error = None if envelope is None else envelope["error"]
    if status < HTTPStatus.BAD_REQUEST:
        return Refusal(TransportFault.UNREACHABLE, _elsewhere(head), {"status": status})
    if session_id is not None and _is_lost(head, body, error, session_id):
        return Refusal(TransportFault.SESSION_LOST, status_line(status), {"status": status})
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        challenge = {"challenge": head.challenge[:_MAX_CHALLENGE]} if head.challenge else {}
        return Refusal(TransportFault.UNAUTHORIZED, status_line(status), {"status": status, **challenge})
    asks_to_wait = status in _ASKING_TO_WAIT and head.retry_after
    if (error is not None or _is_odd_error(body, head.content_type)) and not asks_to_wait:
        return None
    message = f" ({error['message']})" if error is not None else ""
    return Refusal(TransportFault.UNREACHABLE, status_line(status) + message, _data(head))


def session_loss_of(message: bytes, session_id: str | None) -> Refusal | None:
    """Return the error of a message that reports a lost session."""
    if session_id is None or len(message) > MAX_WORDS or b'"error"' not in message:
        return None
    envelope = rpc_error(message)
    if envelope is None:
        return None
    code, words = envelope["error"]["code"], envelope["error"]["message"].encode(errors="replace")
    if code not in _SESSION_CODES or not is_session_unknown(HTTPStatus.OK, words, session_id):
        return None
    return Refusal(TransportFault.SESSION_LOST, f"error {code}", {"status": int(HTTPStatus.OK)})


def wrong_kind(content_type: str) -> Refusal:
    """Return the error for a body that is neither JSON nor events."""
    kind = content_type.partition(";")[0].strip() or "something unnamed"
    return Refusal(TransportFault.UNREACHABLE, f"it answered with {kind} instead of JSON", {"status": 502})


def no_message() -> Refusal:
    """Return what JSON means that is no message."""
    return Refusal(TransportFault.UNREACHABLE, "it answered with what is no JSON-RPC message", {"status": 502})


def foreign_answer() -> Refusal:
    """Return what a response to another request means."""
    return Refusal(TransportFault.UNREACHABLE, "it answered with the response to another request", {"status": 502})


def rpc_error(body: bytes, content_type: str = "") -> Json | None:
    """Return the JSON-RPC error of a body, its envelope completed.

    It may also come as an event, or as an array of one.
    """
    envelope = _read_error(body, content_type)
    error = None if envelope is None else envelope["error"]
    if not isinstance(error, dict) or not isinstance(error.get("code"), int):
        return None
    return {"jsonrpc": "2.0", "id": None, **(envelope or {})} if isinstance(error.get("message"), str) else None


def own_error(body: bytes, content_type: str) -> bytes:
    """Return the message of a refusal that is the server's own.

    `refusal_of` has said so.
    """
    text = body.lstrip()
    return text if text.startswith(b"{") else json.dumps(_read_error(body, content_type)).encode()


def own_refusal(head: ResponseHead, body: bytes) -> Refusal:
    """Return the server's own error to a message that has no response."""
    error = (_read_error(body, head.content_type) or {})["error"]
    words = error.get("message", error) if isinstance(error, dict) else error
    return Refusal(TransportFault.UNREACHABLE, f"{status_line(head.status)} ({words})", _data(head))


def _read_error(body: bytes, content_type: str) -> Json | None:
    """Return an object with an error, whatever that is."""
    if content_type.startswith("text/event-stream"):
        try:
            body = next(SseParser().parse(body + b"\n\n"), body)
        except LimitExceeded:
            return None
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(payload, list) and len(payload) == 1:
        (payload,) = payload
    return payload if isinstance(payload, dict) and payload.get("error") is not None else None


def _is_odd_error(body: bytes, content_type: str) -> bool:
    """Whether a body is a JSON-RPC error of an odd form.

    Its words are the server's own.
    """
    envelope = _read_error(body, content_type)
    return envelope is not None and "jsonrpc" in envelope and isinstance(envelope["error"], dict | str)


def status_line(status: int) -> str:
    """Return a status in words."""
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def _is_lost(head: ResponseHead, body: bytes, error: Json | None, session_id: str) -> bool:
    if "invalid_token" in head.challenge.lower():  # RFC 6750: the token is what is not known
        return False
    if error is not None and error["code"] in _OF_A_REQUEST and head.status != HTTPStatus.NOT_FOUND:
        return False
    return is_session_unknown(head.status, body, session_id)


def _data(head: ResponseHead) -> Json:
    return {"status": head.status, **({"retryAfter": head.retry_after} if head.retry_after else {})}


def _elsewhere(head: ResponseHead) -> str:
    """Describe a body that is no message: empty, or an address."""
    status = status_line(head.status)
    if not head.location:
        return f"it answered {status} instead of a message"
    return f"it answered {status} and leads to {_mask_location(head.location)}; if that is meant, configure that URL"


def _mask_location(location: str) -> str:
    """Return a location without parts that may contain secrets."""
    try:
        parts = urlsplit(location)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))[:500]
    except ValueError:
        return "an address that cannot be read"
