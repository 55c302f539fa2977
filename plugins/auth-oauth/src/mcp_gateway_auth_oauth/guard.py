"""SSRF guard: addresses to which a server's OAuth metadata may lead.

A server names the URLs of the login, and the gateway requests them.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

import anyio
import httpx2
from mcp.client.auth import OAuthFlowError

from mcp_gateway.plugin import is_link_local, is_public


@dataclass(frozen=True, slots=True)
class OAuthRequestGuard:
    """SSRF guard: a request hook for the OAuth client.

    It refuses requests to where a server has no reason to send the gateway.

    A server of the public internet may not lead it into the network that it stands in, and
    nobody to addresses where cloud machines find their own credentials.
    """

    url: str

    async def __call__(self, request: httpx2.Request) -> None:
        """Refuse a request, or let it pass.

        Raises:
            OAuthFlowError: it must not be sent.

        """
        if request.url.scheme not in ("http", "https"):
            raise OAuthFlowError(f"a login may not lead to a {request.url.scheme} URL")
        addresses = await _resolve_host(request.url.host)
        if any(is_link_local(address) for address in addresses):
            raise OAuthFlowError(f"a login may not lead to {request.url.host}: its address is link-local")
        # A server of the inner network may have its authorization server there.
        home = httpx2.URL(self.url)
        if request.url.host == home.host or not all(map(is_public, await _resolve_host(home.host))):
            return
        if request.url.scheme != "https" or not all(map(is_public, addresses)):
            raise OAuthFlowError(f"a login may not lead to {request.url.host}: it must be a public https address")


# The client transport for HTTP has the same lines: the API that both share imports no event loop.
async def _resolve_host(host: str) -> list[str]:
    try:
        found = await anyio.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except OSError:
        return []  # the request will fail in its own words
    return [str(address[0]) for *_, address in found]
