"""HTTP+SSE, the transport of 2024-11-05, towards servers that speak nothing newer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager

from mcp_gateway.plugin import ClientTransport, Diagnosis, Provider, UrlOptions, diagnose_url, hookimpl

GATEWAY_API = 1


def open_client_transport(options: UrlOptions) -> AbstractAsyncContextManager[ClientTransport]:
    """Open the transport to a server with a URL."""
    from mcp_gateway_transport_sse.client_transport import sse_client_transport  # the MCP SDK is slow to import

    return sse_client_transport(options)


async def find_url_faults(options: UrlOptions) -> Sequence[Diagnosis]:
    """Look for the reasons why a URL cannot be reached."""
    from mcp_gateway_transport_sse.http_client import create_default_context

    return await diagnose_url(options, create_default_context)


@hookimpl
def mcp_gateway_client_transports() -> Iterator[Provider[UrlOptions, ClientTransport]]:
    """Yield `sse` for servers."""
    yield Provider(
        name="sse",
        summary="reach a URL in the old way (HTTP+SSE)",
        options=UrlOptions,
        build=open_client_transport,
        fallback="http",
        diagnose=find_url_faults,
    )
