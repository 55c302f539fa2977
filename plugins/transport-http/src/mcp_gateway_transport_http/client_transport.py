"""HTTP client transport with one HTTP client for each session.

Each HTTP client sends its session's credentials.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

import httpx2

from mcp_gateway.plugin import ClientTransport, Credentials
from mcp_gateway_transport_http._sdk import Transport, TransportStreams
from mcp_gateway_transport_http.client.http_errors import ErrorMappingClient
from mcp_gateway_transport_http.client.response_limits import MAX_MESSAGE_BYTES
from mcp_gateway_transport_http.client.session_streams import open_tagged_streams
from mcp_gateway_transport_http.client.ssrf import SsrfGuard
from mcp_gateway_transport_http.fast_path.connection_pool import KEEP_SECONDS, Connections
from mcp_gateway_transport_http.fast_path.request_target import build_request_head, can_connect_directly
from mcp_gateway_transport_http.options import HttpOptions

_TIMEOUT = httpx2.Timeout(30.0, read=None, pool=None)
"""Reading has no timeout here: the gateway limits the time of calls, and streams stay open."""

# httpx2 keeps 20 connections alive by default, and opens 100: 200 parallel calls took two waves.
_LIMITS = httpx2.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=KEEP_SECONDS)


@dataclass(frozen=True, slots=True)
class HttpClientTransport:
    """HTTP transport to one server."""

    url: str
    guard: SsrfGuard | None = None
    max_bytes: int = MAX_MESSAGE_BYTES

    @property
    def carries_credentials(self) -> bool:
        """Credentials are sent as headers."""
        return True

    def connect(self, credentials: Credentials) -> Transport:
        """Return the unopened transport of a session.

        Every request of the session has the headers of `credentials`.
        """
        return _open_session(self, credentials.headers)


@asynccontextmanager
async def http_client_transport(options: HttpOptions) -> AsyncIterator[ClientTransport]:
    """Open the transport; nothing is connected yet."""
    guard = None if options.allow_link_local else SsrfGuard()
    yield HttpClientTransport(str(options.url), guard, options.max_message_bytes)


@asynccontextmanager
async def _open_session(to: HttpClientTransport, headers: dict[str, str]) -> AsyncIterator[TransportStreams]:
    url, max_bytes = to.url, to.max_bytes
    encoded = [(name.encode(), _encode_header(value)) for name, value in headers.items()]
    # A request without it permits any coding (RFC 9110, section 12.5.3).
    sent = [(b"accept-encoding", b"identity"), *encoded]
    client = ErrorMappingClient(
        to.guard, max_bytes, headers=sent, timeout=_TIMEOUT, limits=_LIMITS, verify=_load_certificates()
    )
    connections = _build_pool(to) if can_connect_directly(url) else None
    head = build_request_head(url, {name.decode(): value.decode("latin-1") for name, value in encoded})
    try:
        async with client, open_tagged_streams(url, client, connections, head, max_bytes) as streams:
            yield streams
    finally:
        if connections is not None:
            connections.close()


def _build_pool(to: HttpClientTransport) -> Connections:
    parts = urlsplit(to.url)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    return Connections(parts.hostname or "", port, _load_certificates() if secure else None, to.guard, to.max_bytes)


def _encode_header(value: str) -> bytes:
    """Encode a header value as Latin-1, else as UTF-8.

    Latin-1 restores the bytes of a forwarded header.
    """
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()


@cache
def _load_certificates() -> ssl.SSLContext:
    """Load the CA certificates once.

    Loading them is the slowest part of creating a client.
    """
    return httpx2.create_ssl_context()
