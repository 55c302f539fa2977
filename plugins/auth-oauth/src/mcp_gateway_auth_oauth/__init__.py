"""Auth plugin: OAuth with an authorization code or client credentials.

With an authorization code a person logs in; with client credentials the gateway itself does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager

from mcp_gateway.plugin import AuthStrategy, Provider, hookimpl
from mcp_gateway_auth_oauth.options import OAuthOptions

GATEWAY_API = 1


def open_oauth(options: OAuthOptions) -> AbstractAsyncContextManager[AuthStrategy]:
    """Open the strategy for one server."""
    from mcp_gateway_auth_oauth.strategy import open_strategy  # cryptography and the MCP SDK are slow to import

    return open_strategy(options)


@hookimpl
def mcp_gateway_auth_strategies() -> Iterator[Provider[OAuthOptions, AuthStrategy]]:
    """Yield `oauth`."""
    yield Provider(name="oauth", summary="log in with OAuth", options=OAuthOptions, build=open_oauth)
