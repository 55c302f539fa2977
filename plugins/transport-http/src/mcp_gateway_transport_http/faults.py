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
from mcp_gateway_transport_http.connections import MAX_BYTES
from mcp_gateway_transport_http.guard import Guard, LinkLocal
from mcp_gateway_transport_http.messages import is_message

_OF_THE_BODY = frozenset({"content-length", "content-encoding", "transfer-encoding"})
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

    def __init__(self, guard: Guard | None = None, **options: Any) -> None:
        """Open no connection that `guard` refuses."""
        super().__init__(**options)
        self._guard = guard

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send; what fails becomes a response that says why, to a POST at least."""
        if self._guard is not None:
            request.extensions["trace"] = self._guard.trace
        try:
            response = await super().send(request, **options)
        except httpx2.TransportError as error:
            if request.method != "POST":
                raise
            sent = {"sent": False} if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout) else {}
            return _answer(request, 503, TransportFault.UNREACHABLE, _in_words(error), sent)
        if request.method == "POST" and response.is_success:
            return await _read(request, response)
        if request.method != "POST" or response.is_redirect:
            return response
        return await _explained(request, response)


async def _read(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
    """Return an answer that can be read: events as they come, anything else once it is here whole."""
    kind = response.headers.get("content-type", "").lower().partition(";")[0].strip()
    if kind == "text/event-stream" or response.status_code != HTTPStatus.OK or not _wants_answer(request):
        return response
    try:
        body = await _message_of(response, kind)
    except httpx2.TransportError as error:
        return _answer(request, 503, TransportFault.UNREACHABLE, f"{_in_words(error)} in the middle of its answer", {})
    except _Unreadable as error:
        return _answer(request, 502, TransportFault.UNREACHABLE, str(error), {"status": 502})
    finally:
        await response.aclose()
    headers = [(name, value) for name, value in response.headers.multi_items() if name not in _OF_THE_BODY]
    return httpx2.Response(200, headers=headers, content=body, request=request)


async def _message_of(response: httpx2.Response, kind: str) -> bytes:
    """Read an answer to its end."""
    if kind != "application/json":
        raise _Unreadable(f"it answered with {kind or 'something unnamed'} instead of JSON")
    parts, size = [], 0
    async for part in response.aiter_bytes():
        parts.append(part)
        size += len(part)
        if size > MAX_BYTES:
            raise _Unreadable(f"its answer has more than {MAX_BYTES} bytes")
    if not is_message(body := mended(b"".join(parts).removeprefix(BOM_UTF8))):
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
        body = json.loads(await response.aread())
    except (ValueError, RecursionError, httpx2.StreamError, httpx2.TransportError):
        return None
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("code"), int):
        return None
    return {"jsonrpc": "2.0", "id": None, **body} if isinstance(error.get("message"), str) else None


def _answer(
    request: httpx2.Request, status: int, fault: TransportFault, message: str, data: dict[str, Any]
) -> httpx2.Response:
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": int(fault), "message": message, "data": data}}
    return httpx2.Response(status, json=body, request=request)


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
