"""Failures of HTTP as JSON-RPC errors, so that one failed request ends neither the session nor the others."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from http import HTTPStatus
from typing import Any

import httpx2
from msgspec import DecodeError, Struct
from msgspec import json as rpc

from mcp_gateway.plugin import TransportFault, mended
from mcp_gateway_transport_http.bodies import error_message, read_body, with_body, with_events
from mcp_gateway_transport_http.guard import Guard, LinkLocal
from mcp_gateway_transport_http.limits import MAX_MESSAGE_BYTES, LimitExceeded
from mcp_gateway_transport_http.messages import is_message

_ERROR_BYTES = 1 << 20
"""How much of a refusal is read."""

_EVENTS = "text/event-stream"
_SESSION = "mcp-session-id"


class _Head(Struct):
    id: int | str | None = None
    method: str | None = None


_head = rpc.Decoder(_Head)


class _Unreadable(Exception):
    """An answer is not as MCP has it; the words say how."""


class FaultTellingClient(httpx2.AsyncClient):
    """Answers a request that failed in the server's place.

    The SDK's transport takes an exception of one request for the end of the session, and
    tells nobody the status of a refusal.
    """

    def __init__(self, guard: Guard | None = None, max_bytes: int = MAX_MESSAGE_BYTES, **options: Any) -> None:
        """Open no connection that `guard` refuses; read no message of more than `max_bytes`."""
        super().__init__(**options)
        self._guard, self._max_bytes = guard, max_bytes

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send; what fails becomes a response that says why, to a POST at least. No body is read without a bound."""
        options["stream"] = True
        if self._guard is not None:
            request.extensions["trace"] = self._guard.trace
        try:
            response = await super().send(request, **options)
        except httpx2.TransportError as error:
            if request.method != "POST":
                raise
            sent = {"sent": False} if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout) else {}
            return _answer(request, 503, TransportFault.UNREACHABLE, _in_words(error), sent)
        if response.is_success and _kind(response) == _EVENTS:
            return with_events(response, self._max_bytes)
        if request.method == "POST" and response.is_success and _wants_answer(request):
            return await _read(request, response, self._max_bytes)
        if request.method == "POST" and response.is_error:
            return await _explained(request, response)
        await response.aclose()
        return with_body(response)


def _kind(response: httpx2.Response) -> str:
    kind: str = response.headers.get("content-type", "")
    return kind.lower().partition(";")[0].strip()


async def _read(request: httpx2.Request, response: httpx2.Response, most: int) -> httpx2.Response:
    """Return an answer once it is here whole; that none will come is said by 202."""
    if response.status_code == HTTPStatus.ACCEPTED:
        await response.aclose()
        return with_body(response)
    try:
        body = await _message_of(response, most)
    except httpx2.TransportError as error:
        return _answer(request, 503, TransportFault.UNREACHABLE, f"{_in_words(error)} in the middle of its answer", {})
    except (_Unreadable, LimitExceeded) as error:
        return _answer(request, 502, TransportFault.UNREACHABLE, str(error), {"status": 502})
    finally:
        await response.aclose()
    return with_body(response, body, 200)


async def _message_of(response: httpx2.Response, most: int) -> bytes:
    """Read an answer to its end."""
    if (kind := _kind(response)) != "application/json":
        raise _Unreadable(f"it answered with {kind or 'something unnamed'} instead of JSON")
    if not is_message(body := mended((await read_body(response, most)).removeprefix(BOM_UTF8))):
        raise _Unreadable("it answered with what is no JSON-RPC message")
    return body


def _wants_answer(request: httpx2.Request) -> bool:
    try:
        head = _head.decode(request.content)
    except (DecodeError, UnicodeDecodeError, httpx2.RequestNotRead):
        return False
    return head.id is not None and head.method is not None


async def _explained(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
    """Keep an error that the server wrote as JSON-RPC, unless the status says more than it."""
    status, answered = response.status_code, await _rpc_error(response)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        fault = TransportFault.UNAUTHORIZED
    elif _SESSION in request.headers and _is_lost_session(status, answered):
        fault = TransportFault.SESSION_LOST
    elif answered is not None:
        return httpx2.Response(status, json=answered, request=request)
    else:
        fault = TransportFault.UNREACHABLE
    retry_after = response.headers.get("retry-after")
    await response.aclose()
    data = {"status": status, **({"retryAfter": retry_after} if retry_after else {})}
    return _answer(request, status, fault, _status_line(status), data)


def _is_lost_session(status: int, answered: dict[str, Any] | None) -> bool:
    """Whether the server does not know the session: 404 as MCP has it, or 400 and words, as older servers do."""
    if status == HTTPStatus.NOT_FOUND:
        return True
    return (
        status == HTTPStatus.BAD_REQUEST and answered is not None and "session" in answered["error"]["message"].lower()
    )


async def _rpc_error(response: httpx2.Response) -> dict[str, Any] | None:
    """Return the JSON-RPC error response that a response holds, if any, with what its envelope lacks."""
    if not response.headers.get("content-type", "").lower().startswith("application/json"):
        return None
    try:
        body = json.loads(await read_body(response, _ERROR_BYTES))
    except (LimitExceeded, ValueError, RecursionError, httpx2.StreamError, httpx2.TransportError):
        return None
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("code"), int):
        return None
    return {"jsonrpc": "2.0", "id": None, **body} if isinstance(error.get("message"), str) else None


def _answer(
    request: httpx2.Request, status: int, fault: TransportFault, message: str, data: dict[str, Any]
) -> httpx2.Response:
    headers = {"content-type": "application/json"}
    return httpx2.Response(status, headers=headers, content=error_message(fault, message, data), request=request)


def _in_words(error: httpx2.TransportError) -> str:
    kinds = {
        LinkLocal: "it is not connected to",
        httpx2.ConnectTimeout: "connecting took too long",
        httpx2.ConnectError: "it refuses connections, or its address does not exist",
        httpx2.RemoteProtocolError: "it closed the connection without an answer",
        httpx2.ReadError: "the connection broke",
    }
    said = next((words for kind, words in kinds.items() if isinstance(error, kind)), type(error).__name__)
    return f"{said} ({error})" if str(error) else said


def _status_line(status: int) -> str:
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"
