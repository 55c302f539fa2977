"""What the head of a request says that carries a JSON-RPC message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

import httptools
from mcp.server.streamable_http import check_accept_headers
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, is_version_at_least
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import Message

from mcp_gateway.plugin import Principal
from mcp_gateway_transport_http.options import PATH
from mcp_gateway_transport_http.server.client_session import ClientSession

_URL = PATH.encode()
# A second one of these can be read in two ways.
_ONCE = frozenset({"authorization", "content-encoding", "content-type", "host", "origin"})
_PRIMING_VERSION = "2025-11-25"


@dataclass(frozen=True, slots=True)
class MessageRequest:
    """A request that may be dispatched, but for its body.

    It is made from the bytes of one head, and means the same for equal ones. `headers` are those of the request
    without the gateway's token, in lower case; `response_headers` are lines for its response.
    """

    headers: Mapping[str, str]
    principal: Principal | None
    session: ClientSession | None
    keep_alive: bool
    is_chunkable: bool
    response_headers: bytes = b""

    @property
    def is_resumable(self) -> bool:
        """Whether its client waits even without the connection.

        In the modern era a closed stream is a cancellation (specification 2026-07-28, transports).
        """
        return "mcp-session-id" in self.headers and (
            self.headers.get("mcp-protocol-version") in (None, *HANDSHAKE_PROTOCOL_VERSIONS)
        )

    @property
    def can_be_primed(self) -> bool:
        """Whether its client understands an event that is only an id."""
        return is_version_at_least(self.headers.get("mcp-protocol-version", ""), _PRIMING_VERSION)


def is_endpoint(url: bytes) -> bool:
    """Whether a target is the MCP endpoint, in any spelling."""
    if url == _URL:
        return True
    path = httptools.parse_url(url).path
    return path is not None and unquote_to_bytes(path) == _URL


def fold_headers(lines: Sequence[tuple[bytes, bytes]]) -> dict[str, str] | None:
    """Return header fields by name; None if one is ambiguous."""
    fields: dict[str, str] = {}
    for name_bytes, value_bytes in lines:
        name, value = name_bytes.decode("latin-1"), value_bytes.decode("latin-1")
        if name in fields:
            if name in _ONCE or name.startswith("mcp-"):
                return None
            # Lists may come in several lines (RFC 9110, section 5.3; of cookies RFC 9113, section 8.2.3).
            value = f"{fields[name]}{'; ' if name == 'cookie' else ', '}{value}"
        fields[name] = value
    return fields


def is_message_post(fields: Mapping[str, str]) -> bool:
    """Whether a POST with these headers carries a message."""
    return is_json(fields.get("content-type", "")) and _accepts_both(fields) and _is_plain(fields)


def is_json(content_type: str) -> bool:
    """Whether a content type is JSON, whatever it is called."""
    media_type = content_type.partition(";")[0].partition(",")[0].strip().lower()
    return media_type in ("application/json", "text/json") or media_type.endswith("+json")


def cors_headers(cors: CORSMiddleware, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Return the header lines that the middleware adds to a response."""
    start: Message = {"type": "http.response.start", "status": 200, "headers": []}

    async def send(_message: Message) -> None:
        """Take what is in `start` already."""

    # It waits for nothing: what adds them is the middleware that adds them to all other responses.
    with suppress(StopIteration):
        cors.send(start, send, Headers(raw=list(headers))).send(None)
    return b"".join(b"%b: %b\r\n" % line for line in start["headers"])


def _accepts_both(fields: Mapping[str, str]) -> bool:
    accept = fields.get("accept", "")
    if "application/json" in accept and "text/event-stream" in accept:
        return True
    # As a list in one line: the SDK looks at the first line only.
    scope = {"type": "http", "headers": [(b"accept", accept.encode("latin-1"))]}
    return check_accept_headers(Request(scope)) == (True, True)


def _is_plain(fields: Mapping[str, str]) -> bool:
    return fields.get("content-encoding", "identity").strip().lower() == "identity"
