"""The flow in which a person logs in: authorization code with PKCE."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx2
from mcp.client.auth import OAuthFlowError
from mcp.client.auth.utils import (
    is_valid_client_metadata_url,
    issuers_match,
    validate_authorization_response_iss,
)
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata
from pydantic import AnyUrl

from mcp_gateway.plugin import AuthError
from mcp_gateway_auth_oauth.challenges import Challenge
from mcp_gateway_auth_oauth.flows import FlowTokenStorage, StoredFlow, explain_wrong_issuer
from mcp_gateway_auth_oauth.http.guard import OAuthRequestGuard
from mcp_gateway_auth_oauth.logins import Login
from mcp_gateway_auth_oauth.options import OAuthOptions
from mcp_gateway_auth_oauth.vault import TokenStore

CLIENT_NAME = "MCP Orchestration Gateway"


@dataclass(frozen=True, slots=True)
class AuthorizationResponse:
    """Authorization response (RFC 6749, section 4.1.2); `error` is for people."""

    code: str = ""
    state: str | None = None
    iss: str | None = None
    error: str = ""


class AuthorizationCodeFlow(StoredFlow):
    """A person logs in: authorization code with PKCE."""

    def __init__(
        self,
        options: OAuthOptions,
        store: TokenStore,
        redirect: str | None = None,
        show: Callable[[str], Awaitable[None]] | None = None,
        wait_for_response: Callable[[], Awaitable[AuthorizationResponse]] | None = None,
    ) -> None:
        """Load the stored login; `redirect` starts a new one.

        `redirect` is the redirect URI of a new login, `show` gets the authorization URL, and `wait_for_response`
        returns what the browser comes back with.
        """
        self.options, self.store, self.before, self.challenge = options, store, store.read(), Challenge()
        self._redirect, self._show, self._wait_for_response = redirect or "", show, wait_for_response
        metadata = OAuthClientMetadata(
            client_name=CLIENT_NAME,
            redirect_uris=[AnyUrl(redirect)] if redirect is not None else None,
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"],
            token_endpoint_auth_method="none",  # noqa: S106  # a method's name
        )
        self.memory = FlowTokenStorage(self.before)
        super().__init__(self.url, metadata, self.memory, self._begin, self._end)
        if redirect is not None:
            # Without the old tokens, which the SDK would use instead of starting a new login.
            self.memory.login = Login(client=self._client_of(self._expected_issuer()))

    def _select_authorization_server(self, advertised: list[str]) -> str:
        """Return the authorization server to log in to.

        The client for it is taken: clients are bound to their issuer (specification 2026-07-28, authorization server
        binding).
        """
        bound = self._bound_issuer
        chosen = next((each for each in advertised if bound is None or issuers_match(each, bound)), None)
        if chosen is None:
            raise OAuthFlowError(explain_wrong_issuer(advertised[0]))
        self.context.client_info = self._client_of(chosen)
        return chosen

    @property
    def _bound_issuer(self) -> str | None:
        """The only issuer that may see the configured client.

        None if any may. Without `issuer` it is the one to which it was shown first.
        """
        configured = self.options.issuer
        if configured is not None:
            return str(configured)
        client_id, known = self.options.client_id, self.before.client
        if client_id is None or known is None or known.client_id != client_id:
            return None
        return None if is_valid_client_metadata_url(client_id) else known.issuer

    def _client_of(self, issuer: str) -> OAuthClientInformationFull | None:
        """Return the configured client, or the one registered for this issuer.

        None if there is neither: then the gateway registers itself.
        """
        options = self.options
        if options.client_id is None:
            return self.before.find_registration(issuer, self._redirect)
        secret = options.client_secret.get_secret_value() if options.client_secret else None
        return OAuthClientInformationFull(
            redirect_uris=[AnyUrl(self._redirect)],
            client_id=options.client_id,
            client_secret=secret,
            token_endpoint_auth_method="client_secret_basic" if secret else "none",
            issuer=self._bound_issuer,
        )

    async def _perform_authorization(self) -> httpx2.Request:
        metadata = self.context.oauth_metadata
        if metadata is not None:
            self._check_pkce(metadata.code_challenge_methods_supported)
            await OAuthRequestGuard(self.url).check(httpx2.URL(str(metadata.authorization_endpoint)))
        return await super()._perform_authorization()

    def _check_pkce(self, methods: list[str] | None) -> None:
        """Check that the authorization server supports PKCE.

        If it does not say so it is refused (specification 2026-07-28, authorization code protection), unless a person
        has named it as issuer.
        """
        vouched = methods is None and self.options.issuer is not None
        if "S256" not in (methods or ()) and not vouched:
            raise OAuthFlowError(
                f"{self._expected_issuer()}, where it leads for its login, does not say that it has PKCE with S256; "
                "if it has, name it as issuer in the server's entry"
            )

    async def _begin(self, url: str) -> None:
        await self._keep_registration(is_answered=False)
        if self._show is not None:
            await self._show(url)

    async def _end(self) -> AuthorizationCodeResult:
        if self._wait_for_response is None:
            raise OAuthFlowError("nobody waits for the login")
        response = await self._wait_for_response()
        await self._keep_registration(is_answered=True)
        if response.error:
            # An error of another issuer must not be shown (2026-07-28, authorization response validation).
            validate_authorization_response_iss(response.iss, self.context.oauth_metadata)
            raise AuthError(response.error)
        return AuthorizationCodeResult(code=response.code, state=response.state, iss=response.iss)

    async def _keep_registration(self, *, is_answered: bool) -> None:
        """Keep the registered client, for the next login as well."""
        client = self._to_login().client
        if client is not None and self.options.client_id is None:
            # It was used with this one, whatever was said of it when it was registered; many say nothing.
            client = client.model_copy(update={"redirect_uris": [AnyUrl(self._redirect)]})
            await self.store.update(lambda login: login.with_registration(client, is_answered=is_answered))
