"""Revocation of tokens at the authorization server (RFC 7009)."""

from __future__ import annotations

import logging
from http import HTTPStatus

import httpx2
from mcp.client.auth import OAuthFlowError

from mcp_gateway_auth_oauth.http.client import open_client, send_request
from mcp_gateway_auth_oauth.logins import Login
from mcp_gateway_auth_oauth.options import OAuthOptions

log = logging.getLogger(__name__)


async def revoke_tokens(options: OAuthOptions, login: Login) -> bool:
    """Have the tokens of a login to a server revoked.

    Returns whether the authorization server has confirmed it for each of them. The refresh token goes first: most
    authorization servers revoke the access tokens with it.
    """
    server, client, tokens = login.authorization_server, login.client, login.tokens
    if server is None or server.revocation_endpoint is None or client is None or tokens is None:
        return False
    wanted = [("refresh_token", tokens.refresh_token), ("access_token", tokens.access_token)]
    confirmed = []
    async with open_client(options) as http:
        for hint, token in wanted:
            if token:
                form = {"token": token, "token_type_hint": hint, "client_id": client.client_id or ""}
                authentication = None
                if client.client_secret and client.token_endpoint_auth_method == "client_secret_basic":  # noqa: S105
                    authentication = httpx2.BasicAuth(client.client_id or "", client.client_secret)
                elif client.client_secret:
                    form["client_secret"] = client.client_secret
                request = http.build_request("POST", str(server.revocation_endpoint), data=form)
                if authentication is not None:
                    request = next(authentication.auth_flow(request))
                confirmed.append(await _is_confirmed(http, request))
    return bool(confirmed) and all(confirmed)


async def _is_confirmed(http: httpx2.AsyncClient, request: httpx2.Request) -> bool:
    try:
        response = await send_request(http, request)
    except (OAuthFlowError, httpx2.TransportError) as error:
        log.info("token not revoked", extra={"reason": type(error).__name__})
        return False
    return response.status_code == HTTPStatus.OK
