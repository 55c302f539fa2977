"""HTTP failures as JSON-RPC errors.

One failed request ends neither the session nor other requests.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from http import HTTPStatus
from typing import Any

import httpx2
from msgspec import DecodeError, Struct
from msgspec import json as rpc

from mcp_gateway.plugin import TransportFault, replace_lone_surrogates
from mcp_gateway_transport_http._sdk import next_request_within_origin
from mcp_gateway_transport_http.client.refusals import (
    Answer,
    Refusal,
    is_message_status,
    refusal_of,
    rpc_error,
    session_loss_of,
    wrong_kind,
)
from mcp_gateway_transport_http.client.response_bodies import error_message, read_body, with_body, with_events
from mcp_gateway_transport_http.client.response_limits import MAX_MESSAGE_BYTES, LimitExceeded
from mcp_gateway_transport_http.client.ssrf import LinkLocalAddress, SsrfGuard
from mcp_gateway_transport_http.jsonrpc import is_message

_ERROR_BYTES = 1 << 20
"""How many bytes of an error response are read."""

_EVENTS = "text/event-stream"
_SESSION = "mcp-session-id"


class _Head(Struct):
    id: int | str | None = None
    method: str | None = None


_head = rpc.Decoder(_Head)


class _InvalidResponse(Exception):
    """A response that violates MCP; the message names the violation."""


class ErrorMappingClient(httpx2.AsyncClient):
    """HTTP client that returns failures as responses with JSON-RPC errors.

    The SDK's transport ends the session on an exception of one request, and does not pass on the status of an HTTP
    error.
    """

    def __init__(self, guard: SsrfGuard | None = None, max_bytes: int = MAX_MESSAGE_BYTES, **options: Any) -> None:
        """Set the guard of connections and the limit of messages in bytes.

        `is_upgraded` is set when the server has redirected from HTTP to HTTPS.
        """
        super().__init__(**options)
        self._guard, self._max_bytes, self.is_upgraded = guard, max_bytes, False

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send; a failed POST becomes a response with its reason.

        Every body is read with a limit.
        """
        # Otherwise httpx reads the whole body, without a limit.
        options["stream"] = True
        if self._guard is not None:
            request.extensions["trace"] = self._guard.on_trace
        try:
            response = await super().send(request, **options)
        except httpx2.TransportError as error:
            if request.method != "POST":
                raise
            # Only these two exceptions mean that no byte of the request was written.
            sent = {"sent": False} if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout) else {}
            return _error_response(request, Refusal(TransportFault.UNREACHABLE, _describe_error(error), sent))
        if (elsewhere := next_request_within_origin(response)) is not None:
            self.is_upgraded = self.is_upgraded or elsewhere.url.scheme != request.url.scheme
            await elsewhere.aread()  # loads the request's body, which is inspected after its response
        elif is_message_status(response.status_code) and _kind(response) == _EVENTS:
            return with_events(response, self._max_bytes)
        elif request.method == "POST" and (response.is_error or _is_request(request)):
            return await _read_response(request, response, self._max_bytes)
        await response.aclose()
        return with_body(response)


def _kind(response: httpx2.Response) -> str:
    kind: str = response.headers.get("content-type", "")
    return kind.lower().partition(";")[0].strip()


async def _read_response(request: httpx2.Request, response: httpx2.Response, max_bytes: int) -> httpx2.Response:
    """Return the complete response, or an error response in its place."""
    if not is_message_status(response.status_code):
        return await _explain_response(request, response)
    try:
        body = await _extract_message(response, max_bytes)
    except httpx2.TransportError as error:
        return _error_response(
            request, Refusal(TransportFault.UNREACHABLE, f"{_describe_error(error)} in the middle of its answer")
        )
    except (_InvalidResponse, LimitExceeded) as error:
        return _error_response(request, Refusal(TransportFault.UNREACHABLE, str(error), {"status": 502}))
    finally:
        await response.aclose()
    if (lost := session_loss_of(body, request.headers.get(_SESSION))) is not None:
        return _error_response(request, lost)
    return with_body(response, _add_id(body, request), 200)


async def _extract_message(response: httpx2.Response, max_bytes: int) -> bytes:
    """Read a response to its end; return its message."""
    if (kind := _kind(response)) != "application/json":
        raise _InvalidResponse(wrong_kind(kind).message)
    if not is_message(body := replace_lone_surrogates((await read_body(response, max_bytes)).removeprefix(BOM_UTF8))):
        raise _InvalidResponse("it answered with what is no JSON-RPC message")
    return body


def _is_request(request: httpx2.Request) -> bool:
    try:
        head = _head.decode(request.content)
    except (DecodeError, UnicodeDecodeError, httpx2.RequestNotRead):
        return False
    return head.id is not None and head.method is not None


async def _explain_response(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
    """Map an HTTP error to a transport fault or JSON-RPC error.

    A JSON-RPC error of the server is kept, unless the status is more important: 401, 403, or a lost session.
    """
    headers = response.headers
    answer = Answer(
        response.status_code,
        _kind(response),
        await _body_of(response),
        headers.get("retry-after", "").strip()[:40],
        headers.get("location", "").strip(),
        headers.get("www-authenticate", ""),
    )
    refusal = refusal_of(answer, request.headers.get(_SESSION))
    if refusal is not None:
        return _error_response(request, refusal)
    return httpx2.Response(answer.status, json=rpc_error(answer.body, answer.content_type), request=request)


async def _body_of(response: httpx2.Response) -> bytes:
    """Read an error response's body, empty if unreadable or too long."""
    try:
        return await read_body(response, _ERROR_BYTES)
    except (LimitExceeded, httpx2.StreamError, httpx2.TransportError, httpx2.DecodingError):
        return b""
    finally:
        await response.aclose()


def _add_id(body: bytes, request: httpx2.Request) -> bytes:
    """Return a message; an error without an id gets the request's.

    Without an id the SDK drops it, and the caller waits until the timeout.
    """
    if len(body) > _ERROR_BYTES or (envelope := rpc_error(body)) is None or envelope["id"] is not None:
        return body
    return json.dumps({**envelope, "id": _head.decode(request.content).id}).encode()


def _error_response(request: httpx2.Request, refusal: Refusal) -> httpx2.Response:
    """Return an error response, with a status without meaning to the SDK.

    The SDK would handle other statuses in its own way.
    """
    status = refusal.data.get("status")
    failed = status if isinstance(status, int) and status >= HTTPStatus.BAD_REQUEST else HTTPStatus.BAD_GATEWAY
    body = error_message(refusal.fault, refusal.message, dict(refusal.data))
    headers = {"content-type": "application/json"}
    return httpx2.Response(failed, headers=headers, content=body, request=request)


def _describe_error(error: httpx2.TransportError) -> str:
    kinds = {
        LinkLocalAddress: "it is not connected to",
        httpx2.ConnectTimeout: "connecting took too long",
        httpx2.ConnectError: "it refuses connections, or its address does not exist",
        httpx2.RemoteProtocolError: "it closed the connection without an answer",
        httpx2.ReadError: "the connection broke",
    }
    description = next((words for kind, words in kinds.items() if isinstance(error, kind)), type(error).__name__)
    return f"{description} ({error})" if str(error) else description
