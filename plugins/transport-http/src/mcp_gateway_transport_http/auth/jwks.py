"""JWKS client: signing keys of an authorization server.

The keys are fetched on demand. PyJWT's own `PyJWKClient` is not used because it has no limits: it reads bodies of any
size (2.15.1 with a timeout of 2 s held 1.9 GiB after 3 s of an endless response), its timeout is per read instead of
total, and its interval between fetches starts only after successful ones, so that unknown tokens cause fetches again
and again while the authorization server fails. With these added, nothing but a dictionary would be left of it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
from mcp.client.auth.utils import build_oauth_authorization_server_metadata_discovery_urls, issuers_match

KEEP_SECONDS = 600.0
"""After how long keys are fetched again, so that a revoked key is no longer accepted."""

PAUSE_SECONDS = 5.0
"""The least interval of fetches, however many tokens name unknown keys."""

_TIMEOUT = 10.0
_MAX_BYTES = 1 << 20


class KeysUnavailable(Exception):
    """The keys cannot be fetched; the message says why."""


@dataclass(slots=True)
class JwksClient:
    """Signing keys of `issuer`.

    They are fetched from `url`, or from the `jwks_uri` of the issuer's metadata.
    """

    issuer: str
    url: str | None = None
    _keys: dict[str | None, Mapping[str, Any]] = field(default_factory=dict)
    _tried_at: float = -math.inf
    _fetched_at: float = -math.inf
    _lock: anyio.Lock = field(default_factory=anyio.Lock)

    async def get_key(self, kid: str | None) -> Mapping[str, Any] | None:
        """Return the JWK with this `kid`.

        Without a `kid` it is the only key, if there is just one. None if there is no such key.

        Raises:
            KeysUnavailable: there are no keys, and they could not be fetched.

        """
        if not self._is_known(kid) and self._can_fetch():
            async with self._lock:
                # Checked again after acquiring the lock: the previous holder may have fetched them.
                if not self._is_known(kid) and self._can_fetch():
                    await self._fetch()
        if not self._keys:
            raise KeysUnavailable("the keys of the authorization server could not be fetched a moment ago")
        return self._find(kid)

    def _is_known(self, kid: str | None) -> bool:
        return self._find(kid) is not None and anyio.current_time() - self._fetched_at < KEEP_SECONDS

    def _can_fetch(self) -> bool:
        return anyio.current_time() - self._tried_at >= PAUSE_SECONDS

    def _find(self, kid: str | None) -> Mapping[str, Any] | None:
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid)

    async def _fetch(self) -> None:
        """Fetch the keys; the old ones remain in use if that fails."""
        self._tried_at = anyio.current_time()
        try:
            async with httpx2.AsyncClient(timeout=_TIMEOUT) as client:
                with anyio.fail_after(_TIMEOUT * 3):
                    self.url = self.url or await self._discover(client)
                    keys = (await _fetch_document(client, self.url)).get("keys")
        except (httpx2.HTTPError, TimeoutError, ValueError, RecursionError) as error:
            if self._keys:
                return
            raise KeysUnavailable(
                f"the keys of {self.issuer} cannot be fetched: {error or type(error).__name__}"
            ) from None
        listed = [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []
        self._keys = {key.get("kid"): key for key in listed if _is_signing_key(key)}
        self._fetched_at = anyio.current_time()

    async def _discover(self, client: httpx2.AsyncClient) -> str:
        for url in build_oauth_authorization_server_metadata_discovery_urls(self.issuer, self.issuer):
            try:
                metadata = await _fetch_document(client, url)
            except (httpx2.HTTPStatusError, ValueError):
                continue
            where = metadata.get("jwks_uri")
            # The document must be that of this issuer (RFC 8414, section 3.3).
            if not issuers_match(str(metadata.get("issuer")), self.issuer) or not isinstance(where, str):
                continue
            # Metadata received over TLS must not lead to keys over plain HTTP.
            if urlsplit(where).scheme == urlsplit(self.issuer).scheme:
                return where
        raise ValueError("it publishes no metadata with a jwks_uri; set GATEWAY_AUTH_JWKS")


def _is_signing_key(key: Mapping[str, Any]) -> bool:
    """Whether a JWK is a public signing key.

    A shared secret would not prove that the issuer signed the token.
    """
    return key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig"


async def _fetch_document(client: httpx2.AsyncClient, url: str) -> dict[str, Any]:
    wanted = {"accept": "application/json", "accept-encoding": "identity"}
    async with client.stream("GET", url, headers=wanted) as response:
        response.raise_for_status()
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise ValueError(f"{url} is compressed, though nobody asked for that")
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > _MAX_BYTES:
                raise ValueError(f"{url} is too long")
    document = json.loads(body)
    if not isinstance(document, dict):
        raise ValueError(f"{url} is no JSON object")  # noqa: TRY004  # wrong content, not a programming error
    return document
