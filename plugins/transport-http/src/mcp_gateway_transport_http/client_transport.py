"""HTTP client transport with one channel for each session.

Each channel has its session's credentials.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache

import httpx2

from mcp_gateway.plugin import (
    ClientTransport,
    Credentials,
    ServerChannel,
    SsrfGuard,
    TlsContexts,
    UrlOptions,
    can_connect_directly,
)
from mcp_gateway_transport_http.client.carriers.carrier import Carrier
from mcp_gateway_transport_http.client.carriers.direct_carrier import DirectCarrier
from mcp_gateway_transport_http.client.carriers.httpx_carrier import HttpxCarrier
from mcp_gateway_transport_http.client.channel import HttpChannel
from mcp_gateway_transport_http.client.request_target import Endpoint
from mcp_gateway_transport_http.client.responses.limits import MAX_MESSAGE_BYTES
from mcp_gateway_transport_http.client.session import HttpSession


@dataclass(frozen=True, slots=True)
class HttpClientTransport:
    """HTTP transport to one server."""

    url: str
    guard: SsrfGuard | None = None
    max_bytes: int = MAX_MESSAGE_BYTES
    tls: TlsContexts | None = field(default=None, repr=False)
    socket: str | None = None

    @property
    def carries_credentials(self) -> bool:
        """Credentials are sent as headers."""
        return True

    def connect(self, credentials: Credentials) -> AbstractAsyncContextManager[ServerChannel]:
        """Return the unopened channel of a session.

        Every request of the session has the headers of `credentials`.
        """
        return _open_channel(self, credentials.headers)


@asynccontextmanager
async def http_client_transport(options: UrlOptions) -> AsyncIterator[ClientTransport]:
    """Open the transport; nothing is connected yet."""
    guard = None if options.allow_link_local else SsrfGuard()
    tls = None if options.tls_files is None else TlsContexts(options.tls_files, httpx2.create_ssl_context)
    socket = None if options.socket is None else str(options.socket)
    yield HttpClientTransport(str(options.url), guard, options.max_message_bytes, tls, socket)


@asynccontextmanager
async def _open_channel(to: HttpClientTransport, headers: dict[str, str]) -> AsyncIterator[HttpChannel]:
    session = HttpSession(Endpoint.of(to.url), headers)
    channel = HttpChannel(session, _open_carrier(to), to.max_bytes)
    try:
        yield channel
    finally:
        await channel.aclose()


def _open_carrier(to: HttpClientTransport) -> Carrier:
    get_security = load_certificates if to.tls is None else to.tls.current
    if to.socket is not None:
        return DirectCarrier(get_security, None, to.socket)
    return (DirectCarrier if can_connect_directly(to.url) else HttpxCarrier)(get_security, to.guard)


@cache
def load_certificates() -> ssl.SSLContext:
    """Load the CA certificates once.

    Loading them is the slowest part of creating a client.
    """
    return httpx2.create_ssl_context()
