"""Access token verification: signature, audience, expiry and scopes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cachetools import TLRUCache
from mcp.server.auth.provider import AccessToken

from mcp_gateway_transport_http.auth.jwks import JwksClient

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Only public-key signatures: with a shared secret everyone who can verify a token can also sign one."""

REMEMBER_SECONDS = 60.0
"""How long a verified token is cached."""

# Clocks differ (RFC 7519, section 4.1.4: "usually no more than a few minutes").
_LEEWAY_SECONDS = 30
_MAX_TOKEN = 16 << 10
_MAX_REMEMBERED = 10_000


class InvalidToken(Exception):
    """An invalid access token; the message contains no part of it.

    The message is the reason.
    """


@dataclass(slots=True)
class TokenVerifier:
    """Verifier of tokens of one issuer for one of the `audiences`.

    `clock` returns seconds since the epoch.
    """

    issuer: str
    audiences: tuple[str, ...]
    keys: JwksClient
    clock: Callable[[], float] = time.time
    _cache: TLRUCache[str, AccessToken] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Create the cache of verified tokens."""
        self._cache = TLRUCache(_MAX_REMEMBERED, _cached_until, self.clock)

    def find_cached(self, token: str) -> AccessToken | None:
        """Return the claims of a recently verified token.

        None if the token is not in the cache, or has expired since.
        """
        return self._cache.get(token)

    async def verify(self, token: str) -> AccessToken:
        """Verify a token; return its claims.

        Raises:
            InvalidToken: the token is invalid, expired, or not for this gateway.
            KeysUnavailable: the issuer's keys cannot be fetched.

        """
        if (known := self.find_cached(token)) is not None:
            return known
        if len(token) > _MAX_TOKEN:
            raise InvalidToken("the token is too long")
        try:
            found = _to_access_token(token, self._decode_claims(token, await self._key(token)))
        except jwt.ExpiredSignatureError:
            raise InvalidToken("the token has expired") from None
        except jwt.InvalidAudienceError:
            raise InvalidToken("the token is meant for another audience") from None
        except jwt.InvalidIssuerError:
            raise InvalidToken("the token is of another issuer") from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise InvalidToken("the token is no signed JWT that this gateway can check") from None
        self._cache[token] = found
        return found

    async def _key(self, token: str) -> jwt.PyJWK:
        header = jwt.get_unverified_header(token)
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS or not isinstance(kid, str | None):
            raise InvalidToken("the token is not signed with a public-key algorithm")
        key = await self.keys.get_key(kid)
        if key is None:
            raise InvalidToken("the token is signed with a key that its issuer does not publish")
        # A key is for one algorithm only (RFC 8725, section 3.1).
        if key.get("alg", algorithm) != algorithm:
            raise InvalidToken("the token is signed with an algorithm that its key is not for")
        return jwt.PyJWK(dict(key), algorithm)

    def _decode_claims(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        bare = self.issuer.rstrip("/")
        return jwt.decode(
            token,
            key,
            algorithms=list(ALGORITHMS),
            audience=list(self.audiences),
            # Issuers are written with and without a trailing slash.
            issuer=[bare, f"{bare}/"],
            leeway=_LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )


def _cached_until(_token: str, found: AccessToken, now: float) -> float:
    return min(now + REMEMBER_SECONDS, (found.expires_at or 0) + _LEEWAY_SECONDS)


def _to_access_token(token: str, claims: Mapping[str, Any]) -> AccessToken:
    granted = claims.get("scope", claims.get("scp", ""))
    scopes = granted.split() if isinstance(granted, str) else [str(scope) for scope in granted or ()]
    subject = str(claims["sub"])
    if not subject.strip():
        raise InvalidToken("the token does not say whose it is: its sub is empty")
    client = claims.get("client_id") or claims.get("azp") or subject
    return AccessToken(
        token=token,
        client_id=str(client),
        scopes=scopes,
        expires_at=int(claims["exp"]),
        subject=subject,
        claims={"iss": str(claims["iss"])},
    )
