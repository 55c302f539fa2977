"""OAuth resource server (RFC 6750 and 9728).

Requests with a valid token of the authorization server get its principal; all others are refused with a challenge.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from pydantic import AnyHttpUrl
from starlette.authentication import AuthCredentials
from starlette.routing import Route
from starlette.types import Scope

from mcp_gateway.plugin import Principal
from mcp_gateway_transport_http.auth.bearer import Admission, Refusal
from mcp_gateway_transport_http.auth.jwks import JwksClient, KeysUnavailable
from mcp_gateway_transport_http.auth.tokens import InvalidToken, TokenVerifier
from mcp_gateway_transport_http.options import ListenOptions


@dataclass(frozen=True, slots=True)
class OAuthResourceServer:
    """OAuth resource server that verifies access tokens.

    `resource` is the URL of the gateway, as its clients know it.
    """

    tokens: TokenVerifier
    resource: AnyHttpUrl
    issuer: AnyHttpUrl
    scopes: tuple[str, ...]

    @classmethod
    def from_options(cls, options: ListenOptions) -> OAuthResourceServer | None:
        """Return the resource server of the options.

        None unless the options name an authorization server.
        """
        if options.issuer is None or options.resource is None:
            return None
        issuer = str(options.issuer)
        keys = JwksClient(issuer, None if options.jwks is None else str(options.jwks))
        tokens = TokenVerifier(issuer, options.audiences, keys)
        return cls(tokens, AnyHttpUrl(options.resource), options.issuer, options.scopes)

    @property
    def metadata_path(self) -> str:
        """The path of the protected resource metadata (RFC 9728).

        Clients learn there which authorization server issues the tokens.
        """
        return build_resource_metadata_url(self.resource).path or "/"

    def routes(self) -> list[Route]:
        """Return the metadata route, which needs no token."""
        name = "MCP Orchestration Gateway"
        return create_protected_resource_routes(self.resource, [self.issuer], list(self.scopes) or None, name)

    def decide(self, scope: Scope, sent: Sequence[str]) -> Admission | None:
        """Admit a token that was checked recently, or a metadata request."""
        if scope["path"] == self.metadata_path:
            return Admission(scope, is_known=False)
        brought = [token for token in sent if token]
        # Only the first token counts, as in `check`: the other one may belong to a different person.
        access = self.tokens.find_cached(brought[0]) if brought else None
        return _admission(scope, access) if access is not None and self._has_scopes(access) else None

    async def check(self, scope: Scope, sent: Sequence[str]) -> Admission | Refusal:
        """Return a request with its sender, or a refusal."""
        brought = [token for token in sent if token]
        if not brought:
            return self._refuse(401, "This gateway wants a token of its authorization server.")
        try:
            access = await self._verify_first(brought)
        except InvalidToken as error:
            return self._refuse(401, f"The gateway does not take this token: {error}.", "invalid_token")
        except KeysUnavailable as error:
            return Refusal(503, f"The gateway cannot check tokens: {error}.")
        if not self._has_scopes(access):
            wanted = " ".join(self.scopes)
            return self._refuse(403, f"The token must have these scopes: {wanted}.", "insufficient_scope")
        return _admission(scope, access)

    async def _verify_first(self, brought: Sequence[str]) -> AccessToken:
        """Return the claims of the first valid token.

        One of two headers may be meant for the servers behind the gateway. If no token is valid, the error of
        the last one is raised.
        """
        try:
            return await self.tokens.verify(brought[0])
        except InvalidToken:
            for token in brought[1:]:
                with suppress(InvalidToken):
                    return await self.tokens.verify(token)
            raise

    def _has_scopes(self, access: AccessToken) -> bool:
        return set(self.scopes) <= set(access.scopes)

    def _refuse(self, status: int, reason: str, error: str = "") -> Refusal:
        parameters = {"error": error, "error_description": reason} if error else {}
        parameters |= {"scope": " ".join(self.scopes)} if self.scopes else {}
        parameters["resource_metadata"] = str(build_resource_metadata_url(self.resource))
        challenge = "Bearer " + ", ".join(f'{name}="{value}"' for name, value in parameters.items())
        return Refusal(status, reason, challenge)


def _admission(scope: Scope, access: AccessToken) -> Admission:
    principal = Principal(issuer=(access.claims or {}).get("iss", ""), subject=access.subject or "")
    user = {"user": AuthenticatedUser(access), "auth": AuthCredentials(access.scopes)}
    return Admission({**scope, **user}, principal)
