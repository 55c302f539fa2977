"""SSRF guard for URLs in a server's OAuth metadata.

The server chooses the URLs of the login, and the gateway requests them.
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

    A server on the public internet must not make the gateway request addresses of its own network, and no server those
    of a cloud's metadata service.
    """

    url: str

    async def __call__(self, request: httpx2.Request) -> None:
        """Check a request before it is sent.

        Raises:
            OAuthFlowError: its address is not allowed.

        """
        await self.check(request.url)

    async def check(self, url: httpx2.URL) -> None:
        """Check where the gateway, or a person's browser, is led.

        Raises:
            OAuthFlowError: the address is not allowed.

        """
        if url.scheme not in ("http", "https"):
            raise OAuthFlowError(f"a login may not lead to a {url.scheme} URL")
        addresses = await _resolve_host(url.host)
        if any(is_link_local(address) for address in addresses):
            raise OAuthFlowError(f"a login may not lead to {url.host}: its address is link-local")
        # A server in the internal network may have its authorization server there, too.
        home = httpx2.URL(self.url)
        if (url.host == home.host and url.scheme == home.scheme) or not all(
            map(is_public, await _resolve_host(home.host))
        ):
            return
        if url.scheme != "https" or not all(map(is_public, addresses)):
            raise OAuthFlowError(f"a login may not lead to {url.host}: it must be a public https address")


# Duplicated in the HTTP client transport, because the plugin API, which both share, imports no event loop.
async def _resolve_host(host: str) -> list[str]:
    try:
        found = await anyio.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except OSError:
        return []  # the request itself will fail with a better error
    return [str(address[0]) for *_, address in found]
