"""How long a verified token is believed, and how many are."""

from __future__ import annotations

import base64
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from mcp_gateway_transport_http.auth import tokens as module
from mcp_gateway_transport_http.auth.jwks import JwksClient
from mcp_gateway_transport_http.auth.tokens import REMEMBER_SECONDS, TokenVerifier

ISSUER, AUDIENCE = "https://issuer.example", "https://gate.example/mcp"
KEY = Ed25519PrivateKey.generate()


class Clock:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = time.time()

    def __call__(self):
        return self.now


class Keys(JwksClient):
    """Keys that were fetched already; counts how often one is looked up."""

    looked_up = 0

    async def get_key(self, kid):
        self.looked_up += 1
        return self._find(kid)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def verifier(clock):
    raw = base64.urlsafe_b64encode(KEY.public_key().public_bytes_raw()).rstrip(b"=").decode()
    keys = Keys(ISSUER, _keys={None: {"kty": "OKP", "crv": "Ed25519", "x": raw}})
    return TokenVerifier(ISSUER, (AUDIENCE,), keys, clock)


def token(subject="alice", lifetime=3600):
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "exp": int(time.time()) + lifetime}
    return jwt.encode(claims, KEY, algorithm="EdDSA")


async def test_a_token_is_verified_once_a_minute(verifier, clock):
    sent = token()
    assert verifier.find_cached(sent) is None
    for _ in range(3):
        assert (await verifier.verify(sent)).subject == "alice"
    assert verifier.keys.looked_up == 1
    clock.now += REMEMBER_SECONDS - 0.1
    assert verifier.find_cached(sent).subject == "alice"
    clock.now += 0.2
    assert verifier.find_cached(sent) is None
    await verifier.verify(sent)
    assert verifier.keys.looked_up == 2


async def test_a_token_is_believed_no_longer_than_it_says_itself(verifier, clock):
    sent = token(lifetime=-10)  # within the tolerance for clocks that differ, for 20 seconds yet
    await verifier.verify(sent)
    clock.now += 15
    assert verifier.find_cached(sent) is not None
    clock.now += 10
    assert verifier.find_cached(sent) is None


async def test_verified_tokens_take_bounded_memory_and_what_is_in_use_stays(monkeypatch, verifier, clock):
    monkeypatch.setattr(module, "_MAX_REMEMBERED", 3)
    bounded, used = TokenVerifier(ISSUER, (AUDIENCE,), verifier.keys, clock), token("in use")
    await bounded.verify(used)
    for number in range(10):
        await bounded.verify(token(str(number)))
        assert bounded.find_cached(used) is not None
    assert len(bounded._cache) == 3


async def test_a_verified_token_is_in_no_repr(verifier):
    sent = token()
    await verifier.verify(sent)
    assert sent not in repr(verifier)
