"""A server of the official SDK that wants a token of an authorization server.

protected.py ISSUER [--scopes A,B] [--modern-only] [--admin]

With --modern-only it answers `initialize` with an error, whatever the token; with --admin a call of `rule` needs the
scope `admin`.
It checks tokens itself, with the issuer's published keys, and says in /seen whom it has served.
"""

from __future__ import annotations

import argparse
import json
import socket
from functools import cache
from typing import Any

import httpx2
import jwt
import uvicorn
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from pydantic import AnyHttpUrl
from starlette.responses import JSONResponse


class Verifier(TokenVerifier):
    def __init__(self, issuer: str, resource: str) -> None:
        self.issuer, self.resource = issuer, resource
        self.refused: set[str] = set()

    async def verify_token(self, token: str) -> AccessToken | None:
        try:
            kid = jwt.get_unverified_header(token)["kid"]
            claims = jwt.decode(token, _keys(self.issuer)[kid], ["RS256"], audience=self.resource, issuer=self.issuer)
        except jwt.PyJWTError:
            return None
        if claims["jti"] in self.refused:
            return None
        return AccessToken(
            token=token,
            client_id=claims["client_id"],
            scopes=claims["scope"].split(),
            expires_at=claims["exp"],
            resource=claims["aud"],
            subject=claims["sub"],
            claims=claims,
        )


@cache
def _keys(issuer: str) -> dict[str, jwt.PyJWK]:
    keys = jwt.PyJWKSet.from_dict(httpx2.get(f"{issuer}/jwks").json()).keys
    return {str(key.key_id): key for key in keys}


def without_initialize(app: Any) -> Any:
    """Refuse `initialize` as a server does that is of the modern era only, before any look at the token."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        body, receive = await _peek(scope, receive)
        if b'"initialize"' not in body:
            return await app(scope, receive, send)
        data = {"supported": ["2026-07-28"], "requested": "2025-11-25"}
        error = {"code": -32022, "message": "Unsupported protocol version", "data": data}
        envelope = {"jsonrpc": "2.0", "id": json.loads(body)["id"], "error": error}
        return await JSONResponse(envelope, 400)(scope, receive, send)

    return answer


def with_admin(app: Any, verifier: Verifier) -> Any:
    """Want the scope `admin` of who calls `rule`."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        body, receive = await _peek(scope, receive)
        token = dict(scope.get("headers", ())).get(b"authorization", b"").decode().removeprefix("Bearer ")
        known = await verifier.verify_token(token) if b'"rule"' in body and token else None
        if known is None or "admin" in known.scopes:
            return await app(scope, receive, send)
        challenge = {"www-authenticate": 'Bearer error="insufficient_scope", scope="admin"'}
        return await JSONResponse({}, 403, challenge)(scope, receive, send)

    return answer


async def _peek(scope: Any, receive: Any) -> tuple[bytes, Any]:
    """Return the body of a POST, and a `receive` that returns it again."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return b"", receive
    message = await receive()
    while message.get("more_body"):
        following = await receive()
        message = {**following, "body": message["body"] + following.get("body", b"")}
    unread = [message]

    async def again() -> Any:
        return unread.pop() if unread else await receive()

    return message.get("body", b""), again


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("issuer")
    parser.add_argument("--scopes", default="")
    parser.add_argument("--modern-only", action="store_true")
    parser.add_argument("--admin", action="store_true")
    arguments = parser.parse_args()
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
    verifier = Verifier(arguments.issuer, url)
    server = MCPServer(
        "protected",
        token_verifier=verifier,
        auth=AuthSettings(
            issuer_url=arguments.issuer,  # type: ignore[arg-type]  # as text it keeps its spelling
            resource_server_url=AnyHttpUrl(url),
            validate_token_resource=True,
            required_scopes=arguments.scopes.split(",") if arguments.scopes else None,
        ),
    )

    @server.tool()
    def whoami() -> dict[str, str]:
        """Say who is logged in."""
        token = get_access_token()
        assert token is not None
        claims = token.claims or {}
        return {
            "subject": str(token.subject),
            "client": token.client_id,
            "jti": claims["jti"],
            "scope": claims["scope"],
        }

    @server.tool()
    def refuse() -> str:
        """Take this very token no more, from now on."""
        token = get_access_token()
        assert token is not None
        verifier.refused.add((token.claims or {})["jti"])
        return "it was the last time"

    @server.tool()
    def rule() -> dict[str, str]:
        """Do what an administrator may."""
        token = get_access_token()
        assert token is not None
        return {"scope": (token.claims or {})["scope"]}

    print(url, flush=True)
    app: Any = server.streamable_http_app()
    if arguments.modern_only:
        app = without_initialize(app)
    if arguments.admin:
        app = with_admin(app, verifier)
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listening])


if __name__ == "__main__":
    main()
