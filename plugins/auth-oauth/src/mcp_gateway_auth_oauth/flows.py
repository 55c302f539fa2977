"""OAuth flows: the SDK's client with a persistent token store.

The state of a flow is read from the token store and written to it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx2
from mcp.client.auth import OAuthClientProvider, OAuthFlowError
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from mcp_gateway.plugin import ServerUnavailable
from mcp_gateway_auth_oauth.bodies import limit_body
from mcp_gateway_auth_oauth.guard import OAuthRequestGuard
from mcp_gateway_auth_oauth.options import OAuthOptions
from mcp_gateway_auth_oauth.vault import Login, TokenStore

CLIENT_NAME = "MCP Orchestration Gateway"
# The request is sent only to get a 401, so its era does not matter.
_ERA = "2025-11-25"
_TIMEOUT = 30.0
_PING = {"jsonrpc": "2.0", "id": "login", "method": "ping"}
_TOO_MANY = 429


class LoginNotRequired(OAuthFlowError):
    """The server did not ask for a login."""


@dataclass(slots=True)
class FlowTokenStorage:
    """In-memory token storage of one flow.

    It implements the SDK's token storage. Its login is written to the file when the flow is done.
    """

    login: Login

    async def get_tokens(self) -> OAuthToken | None:
        """Return the tokens."""
        return self.login.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Store new tokens."""
        self.login = self.login.model_copy(update={"tokens": tokens})

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """Return the client."""
        return self.login.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Store the registered client."""
        self.login = self.login.model_copy(update={"client": client_info})


class _StoredFlow(OAuthClientProvider):
    """Base class of both OAuth flows."""

    options: OAuthOptions
    memory: FlowTokenStorage

    async def fetch(self) -> Login:
        """Run the whole flow and return the login.

        The server names its authorization server, which issues the tokens. Raises OAuthFlowError if the
        server does not require a login (HTTP 401).
        """
        headers = {"accept": "application/json, text/event-stream", "mcp-protocol-version": _ERA}
        async with (
            _client(self.options) as client,
            client.stream("POST", str(self.options.url), json=_PING, headers=headers, auth=self),
        ):
            pass
        if self.context.current_tokens is None:
            raise LoginNotRequired("it did not ask for a login (HTTP 401), so it can be used without auth_type oauth")
        return self._to_login()

    async def refresh(self) -> Login | None:
        """Return a login renewed by the refresh token.

        None if the refresh token is no longer valid.

        Raises:
            ServerUnavailable: the authorization server is unreachable or failing.

        """
        login = self.memory.login
        await self._initialize()
        # The SDK discovers them only in a whole flow; without them it guesses the token endpoint.
        self.context.oauth_metadata, self.context.protected_resource_metadata = (
            login.authorization_server,
            login.resource,
        )
        self.context.protocol_version = _ERA
        try:
            async with _client(self.options) as client:
                response = await client.send(await self._refresh_token())
        except httpx2.TransportError as error:
            raise ServerUnavailable(f"its authorization server cannot be reached: {error}") from None
        # The refresh token may still be valid, so no new login must be required.
        if response.status_code >= 500 or response.status_code == _TOO_MANY:  # noqa: PLR2004
            raise ServerUnavailable(f"its authorization server answered HTTP {response.status_code}")
        return self._to_login() if await self._handle_refresh_response(response) else None

    async def _perform_authorization(self) -> httpx2.Request:
        """Request the configured scopes with a supported client authentication method.

        The client's client_secret_basic becomes client_secret_post if the authorization server does not list
        it.
        """
        if self.options.scopes:
            self.context.client_metadata.scope = " ".join(self.options.scopes)
        client, metadata = self.context.client_info, self.context.oauth_metadata
        known = metadata.token_endpoint_auth_methods_supported if metadata is not None else None
        if client is not None and client.client_secret and known and "client_secret_basic" not in known:
            client.token_endpoint_auth_method = "client_secret_post"  # noqa: S105  # a method's name
        return await super()._perform_authorization()

    def _to_login(self) -> Login:
        return self.memory.login.model_copy(
            update={
                "expires": self.context.token_expiry_time,
                "client": self.context.client_info,
                "authorization_server": self.context.oauth_metadata,
                "resource": self.context.protected_resource_metadata,
            }
        )


class AuthorizationCodeFlow(_StoredFlow):
    """A person logs in: authorization code with PKCE."""

    def __init__(
        self,
        options: OAuthOptions,
        vault: TokenStore,
        redirect: str | None = None,
        show: Callable[[str], Awaitable[None]] | None = None,
        answered: Callable[[], Awaitable[AuthorizationCodeResult]] | None = None,
    ) -> None:
        """Load the stored login; `redirect` starts a new one.

        `redirect` is the redirect URI of a new login, `show` gets the authorization URL, and `answered`
        returns the authorization response.
        """
        login = vault.read()
        if redirect is not None:
            # Without the old tokens, which the SDK would use instead of starting a new login.
            login = Login(client=_find_client(options, login, redirect))
        self.options, self.memory = options, FlowTokenStorage(login)
        metadata = OAuthClientMetadata(
            client_name=CLIENT_NAME,
            redirect_uris=[AnyUrl(redirect)] if redirect is not None else None,
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"],
            token_endpoint_auth_method="none",  # noqa: S106  # a method's name
        )
        super().__init__(str(options.url), metadata, self.memory, show, answered)


class ClientCredentialsFlow(_StoredFlow, ClientCredentialsOAuthProvider):
    """The gateway logs in with client credentials of its own."""

    def __init__(self, options: OAuthOptions) -> None:
        """Begin without tokens: these credentials can always get others."""
        self.options, self.memory = options, FlowTokenStorage(Login())
        secret = options.client_secret.get_secret_value() if options.client_secret else ""
        ClientCredentialsOAuthProvider.__init__(
            self,
            str(options.url),
            self.memory,
            options.client_id or "",
            secret,
            scope=" ".join(options.scopes) or None,
            issuer=_issuer(options),
        )


def _find_client(options: OAuthOptions, login: Login, redirect: str) -> OAuthClientInformationFull | None:
    """Return the configured client, or the one registered for this redirect.

    None if there is neither: then the gateway registers itself.
    """
    if options.client_id is None:
        registered = login.client.redirect_uris if login.client is not None else None
        return login.client if registered and AnyUrl(redirect) in registered else None
    secret = options.client_secret.get_secret_value() if options.client_secret else None
    return OAuthClientInformationFull(
        redirect_uris=[AnyUrl(redirect)],
        client_id=options.client_id,
        client_secret=secret,
        token_endpoint_auth_method="client_secret_basic" if secret else "none",
        issuer=_issuer(options),
    )


def _issuer(options: OAuthOptions) -> str | None:
    return None if options.issuer is None else str(options.issuer)


def _client(options: OAuthOptions) -> httpx2.AsyncClient:
    hooks: dict[str, list[Callable[..., Any]]] = {
        "request": [OAuthRequestGuard(str(options.url))],
        "response": [limit_body],
    }
    return httpx2.AsyncClient(timeout=_TIMEOUT, headers={"accept-encoding": "identity"}, event_hooks=hooks)
