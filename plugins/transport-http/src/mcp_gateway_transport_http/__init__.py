"""Streamable HTTP transports, towards servers and towards clients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager

from mcp_gateway.plugin import (
    ClientTransport,
    Diagnosis,
    Provider,
    ServerTransport,
    UrlOptions,
    diagnose_url,
    hookimpl,
)
from mcp_gateway_transport_http.options import ListenOptions

GATEWAY_API = 1


def open_client_transport(options: UrlOptions) -> AbstractAsyncContextManager[ClientTransport]:
    """Open the transport to a server with a URL."""
    from mcp_gateway_transport_http.client_transport import http_client_transport  # the MCP SDK is slow to import

    return http_client_transport(options)


async def find_url_faults(options: UrlOptions) -> Sequence[Diagnosis]:
    """Look for the reasons why a URL cannot be reached."""
    from httpx2 import create_ssl_context

    return await diagnose_url(options, create_ssl_context)


def open_server_transport(options: ListenOptions) -> AbstractAsyncContextManager[ServerTransport]:
    """Open the transport that serves clients at an address."""
    from mcp_gateway_transport_http.server_transport import http_server_transport

    return http_server_transport(options)


@hookimpl
def mcp_gateway_client_transports() -> Iterator[Provider[UrlOptions, ClientTransport]]:
    """Yield `http` for servers."""
    yield Provider(
        name="http",
        summary="reach a URL",
        options=UrlOptions,
        build=open_client_transport,
        fallback="sse",
        diagnose=find_url_faults,
    )


@hookimpl
def mcp_gateway_server_transports() -> Iterator[Provider[ListenOptions, ServerTransport]]:
    """Yield `http` for clients."""
    yield Provider(
        name="http",
        summary="serve many clients at /mcp",
        options=ListenOptions,
        build=open_server_transport,
        caution=lambda options: options.caution,
        endpoints=lambda options: options.endpoints,
    )
