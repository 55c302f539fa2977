"""OAuth flows: the SDK's client, driven request by request."""

from __future__ import annotations

from dataclasses import dataclass

import httpx2
from mcp.client.auth import OAuthClientProvider, OAuthFlowError, OAuthTokenError
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.auth.utils import (
    build_protected_resource_metadata_discovery_urls,
    is_valid_client_metadata_url,
    issuers_match,
)
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from mcp_gateway.plugin import ServerUnavailable
from mcp_gateway_auth_oauth.challenges import INSUFFICIENT_SCOPE, Challenge, parse_challenge, unite_scopes
from mcp_gateway_auth_oauth.http.client import (
    ClientRejected,
    UnreadableToken,
    check_response,
    open_client,
    send_request,
)
from mcp_gateway_auth_oauth.logins import Login
from mcp_gateway_auth_oauth.options import OAuthOptions

# The request is sent only to get a 401, so its era does not matter.
_ERA = "2025-11-25"
_PING = {"jsonrpc": "2.0", "id": "login", "method": "ping"}
_TOO_MANY = 429
_NOT_ASKED = "it did not ask for a login (HTTP 401), so it can be used without auth_type oauth"


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


class StoredFlow(OAuthClientProvider):
    """Base class of both OAuth flows.

    `before` is the login that the flow replaces: what was asked for then is asked for again.
    """

    options: OAuthOptions
    memory: FlowTokenStorage
    before: Login
    challenge: Challenge

    async def fetch(self) -> Login:
        """Run the whole flow and return the login.

        The server names its authorization server, which issues the tokens. Raises LoginNotRequired if the server
        neither requires a login (HTTP 401) nor names one.
        """
        async with open_client(self.options) as client:
            ping = client.build_request("POST", self.url, json=_PING, headers=_headers())
            challenge = self.before.pending or await _ask_for_challenge(client, ping)
            is_asked, self.challenge = challenge is not None, challenge or Challenge()
            flow = self._auth_flow(ping)
            try:
                await anext(flow)
                request = await flow.asend(_reject(ping, self.challenge))
                # At last it would send the ping again, with the token.
                while request is not ping:
                    request = await flow.asend(await self._send(client, request, is_asked=is_asked))
            finally:
                await flow.aclose()
        requested = tuple((self.context.client_metadata.scope or "").split())
        return self._to_login().model_copy(update={"requested": requested, "pending": None})

    async def _send(self, client: httpx2.AsyncClient, request: httpx2.Request, *, is_asked: bool) -> httpx2.Response:
        """Send a request of the flow, with checks before and after."""
        places = build_protected_resource_metadata_discovery_urls(self.challenge.metadata_url or None, self.url)
        is_wanted = is_asked or self.context.protected_resource_metadata is not None
        if not is_wanted and str(request.url) not in places:
            raise LoginNotRequired(_NOT_ASKED)
        if request.method == "POST" and self.context.client_info is None:
            self._check_registration()
        try:
            response = await send_request(client, request)
        except httpx2.TransportError:
            if is_wanted:
                raise
            raise LoginNotRequired(_NOT_ASKED) from None
        check_response(request, response)
        return response

    async def refresh(self) -> Login | None:
        """Return a login renewed by the refresh token.

        None if the refresh token is no longer valid.

        Raises:
            ClientRejected: the authorization server no longer knows the client.
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
            async with open_client(self.options) as client:
                request = await self._refresh_token()
                response = await send_request(client, request)
        except httpx2.TransportError as error:
            raise ServerUnavailable(f"its authorization server cannot be reached: {error}") from None
        # The refresh token may still be valid, so no new login must be required.
        if response.status_code >= 500 or response.status_code == _TOO_MANY:  # noqa: PLR2004
            raise ServerUnavailable(f"its authorization server answered HTTP {response.status_code}")
        try:
            check_response(request, response)
        except ClientRejected:
            raise
        except UnreadableToken as error:
            raise ServerUnavailable(str(error)) from None
        except OAuthTokenError:
            return None
        return self._to_login() if await self._handle_refresh_response(response) else None

    def _check_metadata(self) -> None:
        """Check that the authorization server has published its metadata.

        Otherwise the SDK would look for its endpoints at the server itself.
        """
        if self.context.oauth_metadata is None and self.context.protected_resource_metadata is not None:
            raise OAuthFlowError(
                f"{self._expected_issuer()}, where it leads for its login, publishes no metadata (RFC 8414)"
            )

    def _check_registration(self) -> None:
        """Check that a client may be registered."""
        self._check_metadata()
        metadata, issuer = self.context.oauth_metadata, self._expected_issuer()
        configured = self.options.issuer
        if self.options.client_id is not None or (configured and not issuers_match(str(configured), issuer)):
            raise OAuthFlowError(explain_wrong_issuer(issuer))
        if metadata is not None and metadata.registration_endpoint is None:
            raise OAuthFlowError(
                f"{issuer}, where it leads for its login, registers no clients by itself: register one there, "
                "and set client_id in the server's entry"
            )

    async def _perform_authorization(self) -> httpx2.Request:
        """Request the right scopes with a supported client authentication method.

        The client's client_secret_basic becomes client_secret_post if the authorization server does not list
        it.
        """
        self._check_metadata()
        self.context.client_metadata.scope = " ".join(self._choose_scopes()) or None
        client, metadata = self.context.client_info, self.context.oauth_metadata
        known = metadata.token_endpoint_auth_methods_supported if metadata is not None else None
        if client is not None and client.client_secret and known and "client_secret_basic" not in known:
            client.token_endpoint_auth_method = "client_secret_post"  # noqa: S105  # a method's name
        return await super()._perform_authorization()

    def _choose_scopes(self) -> tuple[str, ...]:
        """Return the scopes to ask for.

        Those that are configured; otherwise what the server wants, and what the last login has asked for, so that
        nothing is lost that other requests need (specification 2026-07-28, step-up authorization flow).
        """
        if self.options.scopes:
            return self.options.scopes
        wanted, resource = (self.context.client_metadata.scope or "").split(), self.context.protected_resource_metadata
        # The SDK then asks for all scopes that the authorization server has; the specification, for none.
        if not self.challenge.scopes and resource is not None and resource.scopes_supported is None:
            wanted = []
        before = self.before.scopes if self.before.is_bound_to(self._expected_issuer()) else ()
        return unite_scopes(before, wanted)

    def _to_login(self) -> Login:
        client, metadata = self.context.client_info, self.context.oauth_metadata
        if client is not None and client.issuer is None and not is_valid_client_metadata_url(client.client_id):
            issuer = str(metadata.issuer) if metadata is not None else self._expected_issuer()
            client = client.model_copy(update={"issuer": issuer})
        return self.memory.login.model_copy(
            update={
                "expires": self.context.token_expiry_time,
                "client": client,
                "authorization_server": metadata,
                "resource": self.context.protected_resource_metadata,
            }
        )

    @property
    def url(self) -> str:
        """The server's URL."""
        return str(self.options.url)


class ClientCredentialsFlow(StoredFlow, ClientCredentialsOAuthProvider):
    """The gateway logs in with client credentials of its own."""

    def __init__(self, options: OAuthOptions, before: Login | None = None) -> None:
        """Begin without tokens: these credentials can always get others."""
        self.options, self.before, self.challenge = options, before or Login(), Challenge()
        self.memory = FlowTokenStorage(Login())
        secret = options.client_secret.get_secret_value() if options.client_secret else ""
        ClientCredentialsOAuthProvider.__init__(
            self,
            self.url,
            self.memory,
            options.client_id or "",
            secret,
            scope=" ".join(options.scopes) or None,
            issuer=None if options.issuer is None else str(options.issuer),
        )


async def _ask_for_challenge(client: httpx2.AsyncClient, ping: httpx2.Request) -> Challenge | None:
    """Send a request without a token; return the challenge.

    None if it is not rejected for that.
    """
    response = await send_request(client, ping, with_body=False)
    challenge = parse_challenge(response.headers.get("www-authenticate", ""))
    is_rejected = response.status_code == httpx2.codes.UNAUTHORIZED or challenge.error == INSUFFICIENT_SCOPE
    return challenge if is_rejected else None


def _reject(ping: httpx2.Request, challenge: Challenge) -> httpx2.Response:
    """Return the response with which the SDK begins a login."""
    return httpx2.Response(401, headers={"www-authenticate": challenge.encode()}, request=ping)


def _headers() -> dict[str, str]:
    return {"accept": "application/json, text/event-stream", "mcp-protocol-version": _ERA}


def explain_wrong_issuer(issuer: str) -> str:
    """Say that the configured client is for another issuer."""
    return (
        f"it leads to {issuer} for its login, which is not the issuer in its entry, or of the client_id there; "
        "if that is meant, set client_id and issuer to what holds there"
    )
