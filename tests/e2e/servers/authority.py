"""An OAuth authorization server that issues JWTs: code with PKCE, client credentials, refresh, registration, JWKS.

authority.py [--lifetime SECONDS] [--port N]

Whoever comes to /authorize is let in as the person named by --person. Refresh tokens are good for one use; a
second one withdraws the whole family, as RFC 9700 wants. Under /test the tests mint tokens of their own and look in.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import secrets
import socket
import time
from typing import Any
from urllib.parse import urlencode

import jwt
import uvicorn
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

Json = dict[str, Any]


class Authority:
    def __init__(self, issuer: str, lifetime: int, person: str) -> None:
        self.issuer, self.lifetime, self.person = issuer, lifetime, person
        self.clients: dict[str, Json] = {"machine": {"client_secret": "machine-secret"}}
        self.codes: dict[str, Json] = {}
        self.refreshes: dict[str, Json] = {}
        self.withdrawn: set[str] = set()
        self.stats: dict[str, int] = {}
        self.seen: list[Json] = []
        self.published = True
        self.keys: dict[str, rsa.RSAPrivateKey] = {}
        self.rotate()

    def rotate(self) -> None:
        self.kid = f"key-{secrets.token_hex(4)}"
        self.keys = {self.kid: rsa.generate_private_key(public_exponent=65537, key_size=2048)}

    def count(self, what: str) -> None:
        self.stats[what] = self.stats.get(what, 0) + 1

    # -- tokens

    def claims(self, audience: str | None, subject: str, client: str, scope: str) -> Json:
        now = int(time.time())
        return {
            "iss": self.issuer,
            "aud": audience,
            "sub": subject,
            "client_id": client,
            "scope": scope,
            "iat": now,
            "exp": now + self.lifetime,
            "jti": secrets.token_hex(8),
        }

    def signed(self, claims: Json, **header: Any) -> str:
        return jwt.encode(claims, self.keys[self.kid], "RS256", {"kid": self.kid, "typ": "at+jwt", **header})

    def granted(self, grant: Json, family: str | None) -> Json:
        subject = grant.get("subject", grant["client_id"])
        claims = self.claims(grant.get("resource"), subject, grant["client_id"], grant["scope"])
        answer: Json = {
            "access_token": self.signed(claims),
            "token_type": "Bearer",
            "expires_in": self.lifetime,
            "scope": grant["scope"],
        }
        if family is not None:
            answer["refresh_token"] = token = secrets.token_urlsafe(24)
            self.refreshes[token] = {**grant, "family": family, "used": False}
        return answer

    # -- endpoints

    async def metadata(self, _: Request) -> Response:
        self.count("metadata")
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "registration_endpoint": f"{self.issuer}/register",
                "jwks_uri": f"{self.issuer}/jwks",
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none", "client_secret_post", "client_secret_basic"],
                "authorization_response_iss_parameter_supported": True,
            }
        )

    async def jwks(self, _: Request) -> Response:
        self.count("jwks")
        if not self.published:
            return Response(status_code=503)
        keys = [json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())) for key in self.keys.values()]
        named = [{**key, "kid": kid, "alg": "RS256", "use": "sig"} for key, kid in zip(keys, self.keys, strict=True)]
        return JSONResponse({"keys": named})

    async def register(self, request: Request) -> Response:
        self.count("register")
        wanted = await request.json()
        client_id = f"client-{secrets.token_hex(4)}"
        self.clients[client_id] = wanted
        return JSONResponse({**wanted, "client_id": client_id, "token_endpoint_auth_method": "none"}, 201)

    async def authorize(self, request: Request) -> Response:
        self.count("authorize")
        asked = dict(request.query_params)
        self.seen.append(asked)
        client = self.clients.get(asked.get("client_id", ""))
        if client is None or asked.get("redirect_uri") not in client.get("redirect_uris", []):
            return Response("unknown client or redirect_uri", 400)
        if asked.get("code_challenge_method") != "S256" or not asked.get("code_challenge"):
            return Response("PKCE is required", 400)
        code = secrets.token_urlsafe(24)
        self.codes[code] = {**asked, "subject": self.person, "scope": asked.get("scope", "")}
        answer = {"code": code, "state": asked.get("state", ""), "iss": self.issuer}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(answer)}", 302)

    async def token(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        kind = form.get("grant_type", "")
        self.count(kind)
        client_id, secret = self._client(request, form)
        registered = self.clients.get(client_id)
        if registered is None or registered.get("client_secret", secret) != secret:
            return JSONResponse({"error": "invalid_client"}, 401)
        match kind:
            case "client_credentials":
                grant = {"client_id": client_id, "resource": form.get("resource"), "scope": form.get("scope", "")}
                return JSONResponse(self.granted(grant, None))
            case "authorization_code":
                return self._exchanged(form, client_id)
            case "refresh_token":
                return self._refreshed(form, client_id)
        return JSONResponse({"error": "unsupported_grant_type"}, 400)

    def _client(self, request: Request, form: Json) -> tuple[str, str | None]:
        header = request.headers.get("authorization", "")
        if header.startswith("Basic "):
            client_id, _, secret = base64.b64decode(header[6:]).decode().partition(":")
            return client_id, secret
        return form.get("client_id", ""), form.get("client_secret")

    def _exchanged(self, form: Json, client_id: str) -> Response:
        grant = self.codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if (
            grant is None
            or grant["client_id"] != client_id
            or grant["redirect_uri"] != form.get("redirect_uri")
            or grant["code_challenge"] != challenge.decode().rstrip("=")
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse(self.granted(grant, secrets.token_hex(8)))

    def _refreshed(self, form: Json, client_id: str) -> Response:
        grant = self.refreshes.get(form.get("refresh_token", ""))
        if grant is None or grant["client_id"] != client_id or grant["family"] in self.withdrawn:
            return JSONResponse({"error": "invalid_grant"}, 400)
        if grant["used"]:
            self.count("reused")
            self.withdrawn.add(grant["family"])
            return JSONResponse({"error": "invalid_grant"}, 400)
        grant["used"] = True
        return JSONResponse(self.granted(grant, grant["family"]))

    # -- what the tests want

    async def mint(self, request: Request) -> Response:
        """Issue a token as the tests want it: claims changed, signed in another way, with another key."""
        asked = await request.json()
        claims = {**self.claims("", "somebody", "tests", ""), **asked.get("claims", {})}
        claims = {name: value for name, value in claims.items() if value is not None}
        header = {"kid": self.kid, **asked.get("header", {})}
        match asked.get("by", "us"):
            case "nobody":
                token = jwt.encode(claims, None, "none", header)
            case "public key":
                pem = (
                    self.keys[self.kid]
                    .public_key()
                    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
                )
                token = _hs256(claims, header, pem)
            case "another key":
                other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
                token = jwt.encode(claims, other, "RS256", header)
            case _:
                token = self.signed(claims, **asked.get("header", {}))
        return Response(token)

    async def change(self, request: Request) -> Response:
        asked = await request.json()
        if asked.get("rotate"):
            self.rotate()
        self.published = asked.get("published", self.published)
        self.clients |= asked.get("clients", {})
        if asked.get("withdraw"):
            self.withdrawn |= {grant["family"] for grant in self.refreshes.values()}
        return JSONResponse({"stats": self.stats, "seen": self.seen})


def _hs256(claims: Json, header: Json, secret: bytes) -> str:
    """Sign with a public key as if it were a secret, which libraries do not do any more."""
    import hmac

    def packed(value: bytes) -> bytes:
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    head = packed(json.dumps({"alg": "HS256", "typ": "JWT", **header}).encode())
    signed = head + b"." + packed(json.dumps(claims).encode())
    return (signed + b"." + packed(hmac.digest(secret, signed, "sha256"))).decode()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lifetime", type=int, default=3600)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--person", default="alice")
    arguments = parser.parse_args()
    listening = socket.create_server(("127.0.0.1", arguments.port))
    issuer = f"http://127.0.0.1:{listening.getsockname()[1]}"
    authority = Authority(issuer, arguments.lifetime, arguments.person)
    app = Starlette(
        routes=[
            Route("/.well-known/oauth-authorization-server", authority.metadata),
            Route("/jwks", authority.jwks),
            Route("/register", authority.register, methods=["POST"]),
            Route("/authorize", authority.authorize),
            Route("/token", authority.token, methods=["POST"]),
            Route("/test/mint", authority.mint, methods=["POST"]),
            Route("/test", authority.change, methods=["POST"]),
        ]
    )
    print(issuer, flush=True)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    server.run(sockets=[listening])


if __name__ == "__main__":
    main()
