"""A server of the official SDK that wants a token of an authorization server: protected.py ISSUER [--scopes A,B]

It checks tokens itself, with the issuer's published keys, and says in /seen whom it has served.
"""

from __future__ import annotations

import argparse
import socket
from functools import cache

import httpx2
import jwt
import uvicorn
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from pydantic import AnyHttpUrl


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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("issuer")
    parser.add_argument("--scopes", default="")
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

    print(url, flush=True)
    app = server.streamable_http_app()
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listening])


if __name__ == "__main__":
    main()
