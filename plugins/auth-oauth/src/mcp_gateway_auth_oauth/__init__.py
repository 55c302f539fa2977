"""Auth plugin: OAuth with an authorization code or client credentials.

With an authorization code a person logs in; with client credentials the gateway itself does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager

from mcp_gateway.plugin import Argument, AuthStrategy, Command, Provider, hookimpl
from mcp_gateway_auth_oauth.options import OAuthOptions

GATEWAY_API = 1


def open_oauth(options: OAuthOptions) -> AbstractAsyncContextManager[AuthStrategy]:
    """Open the strategy for one server."""
    # Cryptography and the MCP SDK are slow to import.
    from mcp_gateway_auth_oauth.deferred_strategy import open_strategy

    return open_strategy(options)


@hookimpl
def mcp_gateway_auth_strategies() -> Iterator[Provider[OAuthOptions, AuthStrategy]]:
    """Yield `oauth`."""
    yield Provider(name="oauth", summary="log in with OAuth", options=OAuthOptions, build=open_oauth)


_SERVER = Argument(names=("server",), help="the server's name", metavar="SERVER", values="servers")


@hookimpl
def mcp_gateway_commands() -> Iterator[Command]:
    """Yield `login` and `logout`."""
    yield Command(
        name="login",
        summary="log in to a server, by OAuth",
        run="mcp_gateway_auth_oauth.commands:run_login",
        arguments=(_SERVER, Argument(names=("--no-browser",), help="only print the link", is_flag=True)),
        has_json=True,
        examples=("login github", "login github --no-browser"),
    )
    yield Command(
        name="logout",
        summary="forget the login to a server, and have its tokens revoked",
        run="mcp_gateway_auth_oauth.commands:run_logout",
        arguments=(_SERVER,),
        has_json=True,
        examples=("logout github",),
    )
