"""Errors of requests that are refused before they are complete."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus

from mcp_gateway_transport_http._uvicorn import STATUS_LINE

_INVALID_REQUEST = -32600


class RequestError(Exception):
    """A malformed or oversized request: status and text of the response."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


def encode_refusal(error: RequestError, default_headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Return the last response of a connection, a JSON-RPC error."""
    details = {"code": _INVALID_REQUEST, "message": error.reason}
    body = json.dumps({"jsonrpc": "2.0", "id": None, "error": details}).encode()
    headers = [
        *default_headers,
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    lines = [b"%b: %b\r\n" % header for header in headers]
    return b"".join((STATUS_LINE[error.status], *lines, b"\r\n", body))
