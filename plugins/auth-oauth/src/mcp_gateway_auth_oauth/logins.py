"""Logins: tokens, and all that was settled when they were issued."""

from __future__ import annotations

import time

from mcp.client.auth.utils import issuers_match
from mcp.shared.auth import OAuthClientInformationFull, OAuthMetadata, OAuthToken, ProtectedResourceMetadata
from pydantic import AnyUrl, BaseModel

from mcp_gateway_auth_oauth.challenges import Challenge, unite_scopes

_EARLY_SECONDS = 60.0

_MAX_REGISTRATIONS = 8
"""One for each gateway that waits for a login at the same time, at a port of its own."""

_MAX_UNANSWERED = 2
"""After so many logins in a row that did not come back, the authorization server has probably forgotten the client.

It says so to the browser only, and does not lead it back.
"""


class Registration(BaseModel, frozen=True):
    """A registered client, for one issuer and one redirect URI."""

    client: OAuthClientInformationFull
    unanswered: int = 0
    """How many logins with it, in a row, have not come back."""

    def fits(self, issuer: str, redirect: str) -> bool:
        """Whether a login at this issuer can use it."""
        bound, secret_expiry = self.client.issuer, self.client.client_secret_expires_at
        return (
            bound is not None
            and issuers_match(bound, issuer)
            and AnyUrl(redirect) in (self.client.redirect_uris or ())
            and (not secret_expiry or time.time() < secret_expiry - _EARLY_SECONDS)
            and self.unanswered < _MAX_UNANSWERED
        )


class Login(BaseModel):
    """Tokens of a login, with their client and authorization server.

    The client is the one to which they were issued; `requested` are the scopes that were asked for, and `pending` is
    a challenge that the next login has to meet. `registrations` outlive logins.
    """

    tokens: OAuthToken | None = None
    expires: float | None = None
    client: OAuthClientInformationFull | None = None
    authorization_server: OAuthMetadata | None = None
    resource: ProtectedResourceMetadata | None = None
    requested: tuple[str, ...] | None = None
    pending: Challenge | None = None
    registrations: tuple[Registration, ...] = ()

    @property
    def valid_access_token(self) -> str | None:
        """The access token, unless about to expire.

        None if it expires in less than a minute, or in less than half of its lifetime if that is shorter.
        """
        if self.tokens is None:
            return None
        early = min(_EARLY_SECONDS, (self.tokens.expires_in or 2 * _EARLY_SECONDS) / 2)
        return None if self.expires is not None and time.time() > self.expires - early else self.tokens.access_token

    @property
    def issuer(self) -> str | None:
        """The issuer to which tokens and client are bound."""
        if self.authorization_server is not None:
            return str(self.authorization_server.issuer)
        return self.client.issuer if self.client is not None else None

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that were asked for, as far as they are known."""
        if self.requested is not None:
            return self.requested
        return tuple((self.tokens.scope or "").split()) if self.tokens is not None else ()

    def is_bound_to(self, issuer: str) -> bool:
        """Whether tokens and client are of this issuer."""
        return self.issuer is not None and issuers_match(self.issuer, issuer)

    def find_registration(self, issuer: str, redirect: str) -> OAuthClientInformationFull | None:
        """Return the registered client for an issuer and a redirect URI."""
        return next((each.client for each in self.registrations if each.fits(issuer, redirect)), None)

    def without_tokens(self) -> Login:
        """Return the login without its tokens."""
        return self.model_copy(update={"tokens": None, "expires": None})

    def with_challenge(self, challenge: Challenge) -> Login:
        """Return the login with a challenge for the next one.

        It is united with the one that is waiting already.
        """
        if not challenge.scopes and not challenge.metadata_url:
            return self
        before = self.pending.scopes if self.pending is not None else ()
        pending = challenge.model_copy(update={"scopes": unite_scopes(before, challenge.scopes)})
        return self.model_copy(update={"pending": pending})

    def without_registration(self, client_id: str) -> Login:
        """Return the login without a registered client."""
        kept = tuple(each for each in self.registrations if each.client.client_id != client_id)
        return self.model_copy(update={"registrations": kept})

    def with_registration(self, client: OAuthClientInformationFull, *, is_answered: bool) -> Login:
        """Return the login with the client that it has begun with.

        With `is_answered`, the browser has come back.
        """
        before = (each.unanswered for each in self.registrations if each.client.client_id == client.client_id)
        latest = Registration(client=client, unanswered=0 if is_answered else next(before, 0) + 1)
        kept = self.without_registration(client.client_id).registrations
        return self.model_copy(update={"registrations": (latest, *kept)[:_MAX_REGISTRATIONS]})

    def succeed(self, before: Login, met: Challenge | None) -> Login:
        """Return the new login, to be stored in place of `before`.

        It has `met` a challenge. What has been learned meanwhile is kept.
        """
        missed = before.pending if before.pending != met else None
        if missed is not None and set(missed.scopes) <= set(self.scopes):
            missed = None
        return self.model_copy(update={"registrations": before.registrations, "pending": missed})

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports of registered redirect URIs, the one last used first."""
        uris = (uri for each in self.registrations for uri in each.client.redirect_uris or ())
        return tuple(dict.fromkeys(uri.port for uri in uris if uri.host == "127.0.0.1" and uri.port))
