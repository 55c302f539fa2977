"""What statuses and broken connections mean, in the gateway's words.

Never in those of libraries: they quote URLs and headers, which may hold secrets.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx2
from mcp.shared.exceptions import MCPError

from mcp_gateway.plugin import LinkLocalAddress, ServerUnavailable, TransportFault, explain_tls_error
from mcp_gateway_transport_sse.event_stream import EventTooLong

_OTHER_TRANSPORT = frozenset({400, 404, 405, 406, 410, 415, 501})
"""How servers refuse a GET that are not of this transport."""

_WORDS_BYTES = 4096
"""How much of a refusal is read."""

_LOST_WORDS = ("session", "transport", "connection")
"""What a refusal speaks of when its session is not known; servers of the TypeScript SDK say "transport"."""

_NOT_SENT = (
    LinkLocalAddress,
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
)

_LOSSES: dict[type[Exception], str] = {
    httpx2.ConnectTimeout: "connecting took too long",
    httpx2.ProxyError: "the proxy refuses",
    httpx2.RemoteProtocolError: "it broke the connection off",
    httpx2.ReadError: "the connection broke",
    httpx2.WriteError: "the connection broke",
    httpx2.LocalProtocolError: "a header cannot be written as it is",
}


def is_redirect(response: httpx2.Response) -> bool:
    """Whether a response leads elsewhere."""
    return response.has_redirect_location


def fault_of_stream(response: httpx2.Response) -> MCPError | None:
    """Return why a response is no stream of events."""
    status, kind = response.status_code, response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.is_success:
        if kind == "text/event-stream":
            coding = response.headers.get("content-encoding", "identity").lower()
            return None if coding == "identity" else _fault("it compresses events, which it was not asked for", 502)
        return MCPError(
            TransportFault.UNSUPPORTED, f"it answered with {kind[:100] or 'something unnamed'}", _data(response)
        )
    if status in _OTHER_TRANSPORT:
        return MCPError(TransportFault.UNSUPPORTED, _status_line(status), _data(response))
    return _refusal(response)


def fault_of_redirect(response: httpx2.Response) -> MCPError:
    """Return the error of a redirect that is not followed."""
    where = _mask_location(response.headers.get("location", ""))
    words = (
        f"it answered {_status_line(response.status_code)} and leads to {where}; if that is meant, configure that URL"
    )
    return MCPError(TransportFault.UNREACHABLE, words, {"status": response.status_code})


async def fault_of_post(response: httpx2.Response) -> MCPError | None:
    """Return why a message was not accepted, if it was not."""
    status = response.status_code
    if response.is_success:
        return None
    if is_redirect(response):
        return fault_of_redirect(response)
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return MCPError(TransportFault.SESSION_LOST, _status_line(status), {"status": int(HTTPStatus.NOT_FOUND)})
    if status == HTTPStatus.BAD_REQUEST:
        words = (await _read_words(response)).lower()
        if any(word in words for word in _LOST_WORDS):
            return MCPError(TransportFault.SESSION_LOST, _status_line(status), {"status": status})
    return _refusal(response)


def explain_loss(error: Exception, socket: str | None, max_bytes: int = 0) -> ServerUnavailable:
    """Return the error of a request without a response."""
    if isinstance(error, ServerUnavailable):
        return error
    if isinstance(error, EventTooLong):
        limit = f"over {max_bytes} bytes (GATEWAY_MAX_RESULT_BYTES)"
        return ServerUnavailable(f"it sent a message that is too long: {limit}", permanent=True)
    if (tls := explain_tls_error(error, is_open=not was_not_sent(error))) is not None:
        return ServerUnavailable(tls, permanent=True)
    if isinstance(error, httpx2.ConnectError):
        if socket is not None:
            return ServerUnavailable(f"nobody listens at its socket {socket}")
        return ServerUnavailable(f"it refuses connections, or its address does not exist ({_reason(error)})")
    words = next((words for kind, words in _LOSSES.items() if isinstance(error, kind)), None)
    return ServerUnavailable(words or type(error).__name__)


def was_not_sent(error: Exception) -> bool:
    """Whether not a byte of the request can have been written."""
    return isinstance(error, _NOT_SENT)


def _refusal(response: httpx2.Response) -> MCPError:
    status = response.status_code
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return MCPError(TransportFault.UNAUTHORIZED, _status_line(status), _data(response))
    return MCPError(TransportFault.UNREACHABLE, _status_line(status), _data(response))


def _fault(words: str, status: int) -> MCPError:
    return MCPError(TransportFault.UNREACHABLE, words, {"status": status})


def _data(response: httpx2.Response) -> dict[str, Any]:
    found = {"retryAfter": response.headers.get("retry-after"), "challenge": response.headers.get("www-authenticate")}
    return {"status": response.status_code, **{name: value for name, value in found.items() if value}}


async def _read_words(response: httpx2.Response) -> str:
    words = b""
    async for piece in response.aiter_raw():
        words += piece
        if len(words) > _WORDS_BYTES:
            break
    return words[:_WORDS_BYTES].decode(errors="replace")


def _status_line(status: int) -> str:
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def _reason(error: Exception) -> str:
    """Return the system's own words for a failed connection, if any."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno is not None:
            return str(cause)[:200]
        cause = cause.__cause__ or cause.__context__
    return str(error)[:200] or type(error).__name__


def _mask_location(location: str) -> str:
    """Return a location without the parts that may hold secrets."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return "an address that cannot be read"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:500] if parts.netloc else parts.path[:500]
