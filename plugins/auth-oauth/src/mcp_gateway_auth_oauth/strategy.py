"""OAuth strategy: access tokens, refreshed early, or a login link.

Every call gets an access token, or else an error with the login link.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus

import anyio
import httpx2
from anyio.abc import TaskGroup
from mcp.client.auth import OAuthFlowError, OAuthRegistrationError, OAuthTokenError
from mcp.shared.auth import OAuthClientInformationFull

from mcp_gateway.plugin import (
    AuthError,
    Caller,
    Credentials,
    LoginRequired,
    ServerUnavailable,
    explain_tls_error,
    has_control_characters,
)
from mcp_gateway_auth_oauth.authorization_code import AuthorizationCodeFlow
from mcp_gateway_auth_oauth.challenges import INSUFFICIENT_SCOPE, Challenge, parse_challenge, unite_scopes
from mcp_gateway_auth_oauth.flows import ClientCredentialsFlow
from mcp_gateway_auth_oauth.http.client import ClientRejected, read_resource_metadata, read_supported_scopes, run_to_end
from mcp_gateway_auth_oauth.http.revocation import revoke_tokens
from mcp_gateway_auth_oauth.logins import Login
from mcp_gateway_auth_oauth.options import OAuthOptions
from mcp_gateway_auth_oauth.pages import CallbackServer, LoginAttempt
from mcp_gateway_auth_oauth.vault import TokenStore

log = logging.getLogger(__name__)

_NO_CHALLENGE = Challenge()

_FLOW_SECONDS = 60.0
"""How long a flow without a person may take in all; the timeouts of reads do not bound a trickling response."""


@dataclass(slots=True)
class OAuthStrategy:
    """Strategy with one login to a server, shared by all callers."""

    options: OAuthOptions = field(repr=False)
    token_store: TokenStore = field(repr=False)
    tasks: TaskGroup = field(repr=False)
    callback_server: CallbackServer | None = field(default=None, repr=False)
    same_for_all: bool = True
    _login_completed: anyio.Event = field(default_factory=anyio.Event, repr=False)

    async def credentials(self, _caller: Caller) -> Credentials:
        """Return the access token, the same for every caller.

        Raises:
            LoginRequired: there is no valid login.
            ServerUnavailable: the authorization server is unreachable.

        """
        login = self.token_store.read()
        access = login.valid_access_token or (await self._replace_token() if self._is_renewable(login) else None)
        if access is not None:
            return make_bearer(f"Bearer {access}")
        raise await self._login_required()

    async def answer_challenge(self, credentials: Credentials, status: int, challenge: str) -> bool:
        """Replace a rejected access token; return whether there is another.

        Raises:
            LoginRequired: more scopes are needed than the login has.
            AuthError: no login helps.
            ServerUnavailable: the authorization server is unreachable.

        """
        found = parse_challenge(challenge)
        sent = credentials.headers.get("Authorization", "").removeprefix("Bearer ")
        if found.error == INSUFFICIENT_SCOPE:
            return await run_to_end(self.tasks, partial(self._extend_scopes, sent, found))
        if status != HTTPStatus.UNAUTHORIZED:
            return False
        return await self._replace_token(sent, found) is not None

    def is_login_pending(self) -> bool:
        """Whether a challenge waits for a login."""
        return self.token_store.read().pending is not None

    async def login(self, show: Callable[[str], None]) -> None:
        """Wait until a person has logged in.

        `show` gets the link to the login. Raises AuthError with client credentials, which need no login.
        """
        if self.callback_server is None:
            raise AuthError("it has client credentials, so nobody has to log in")
        # Before the link is shown, because a quick login could complete before the wait begins.
        entered = self._login_completed
        show(await self.callback_server.login_url())
        await entered.wait()

    async def logout(self) -> bool | None:
        """Drop the tokens, here and at the authorization server.

        Returns whether it has revoked them, or None if there were none. Registrations and granted scopes are kept for
        the next login.
        """
        async with self.token_store.write_lock():
            login = self.token_store.read()
            self.token_store.write(login.without_tokens().model_copy(update={"pending": None}))
        return None if login.tokens is None else await revoke_tokens(self.options, login)

    async def complete_login(self, redirect: str, attempt: LoginAttempt) -> None:
        """Complete a login that a person has begun in a browser.

        The tokens are written to the token store.
        """
        flow = AuthorizationCodeFlow(
            self.options, self.token_store, redirect, attempt.set_authorization_url, attempt.wait_for_response
        )
        try:
            login = await flow.fetch()
        except ClientRejected:
            await self._forget_client(flow.context.client_info)
            raise
        # Not held during the flow, because a person takes minutes and refreshes would have to wait.
        await self.token_store.update(lambda before: login.succeed(before, flow.before.pending))
        self._login_completed.set()
        self._login_completed = anyio.Event()

    async def _replace_token(self, refused: str | None = None, challenge: Challenge = _NO_CHALLENGE) -> str | None:
        """Return an access token other than the rejected or expired one.

        None if there is none. After waiting for another process to refresh, its tokens are used.
        """
        return await run_to_end(self.tasks, partial(self._replace_token_locked, refused, challenge))

    async def _replace_token_locked(self, refused: str | None, challenge: Challenge) -> str | None:
        async with self.token_store.write_lock():  # after the wait, tokens of another process's refresh are found
            login = self.token_store.read()
            if login.valid_access_token is not None and login.valid_access_token != refused:
                return login.valid_access_token
            found = await self._renew(login, challenge)
            if found is not None:
                self.token_store.write(found)
                return found.tokens.access_token if found.tokens is not None else None
            return None

    async def _renew(self, login: Login, challenge: Challenge) -> Login | None:
        """Return a login with other tokens.

        None if a person has to log in; the old tokens are dropped then.
        """
        try:
            if await self._has_moved(login, challenge):
                log.info("authorization server changed", extra={"server": self.options.server})
                # Neither tokens nor scopes of one authorization server mean anything to another.
                self.token_store.write(Login(registrations=login.registrations).with_challenge(challenge))
                return None
            found = await self._fetch_login(login)
        except ClientRejected:
            found = None
            login = login.without_registration(login.client.client_id) if login.client is not None else login
        if found is None and login.tokens is not None:
            self.token_store.write(login.without_tokens().with_challenge(challenge))
        return found

    async def _has_moved(self, login: Login, challenge: Challenge) -> bool:
        """Whether the server has moved to other authorization servers (SEP-2352)."""
        if self.callback_server is None or login.tokens is None or login.issuer is None:
            return False
        resource = await read_resource_metadata(self.options, challenge.metadata_url)
        return resource is not None and not any(login.is_bound_to(str(each)) for each in resource.authorization_servers)

    async def _extend_scopes(self, sent: str, challenge: Challenge) -> bool:
        """Ask for more scopes; return whether there is a token with them.

        A login that asked for them already is not asked for again, or it would be for ever.
        """
        async with self.token_store.write_lock():
            login = self.token_store.read()
            wanted = challenge.scopes or await read_supported_scopes(self.options, challenge.metadata_url)
            if set(wanted) <= set(login.scopes):
                if login.valid_access_token not in (None, sent):
                    return True
                raise AuthError(self._explain_refusal(wanted))
            if self.options.scopes and (missing := [each for each in wanted if each not in self.options.scopes]):
                raise AuthError(f'it wants more scopes for this: add {" ".join(missing)} to "scopes" in its entry')
            challenge = challenge.model_copy(update={"scopes": unite_scopes(login.scopes, wanted)})
            login = login.with_challenge(challenge)
            if self.callback_server is None:
                found = await self._fetch_login(login)
                self.token_store.write(found or login.without_tokens())
                return found is not None
            self.token_store.write(login)
        raise await self._login_required(f"it needs a login for more ({' '.join(wanted)})")

    def _explain_refusal(self, wanted: tuple[str, ...]) -> str:
        if not wanted:
            return "it wants more scopes for this, but does not say which"
        return (
            f"it wants the scopes {' '.join(wanted)} for this, which the last login has asked for already: who is "
            f"logged in may not have them; 'mcp-orchestration-gateway login {self.options.server}' logs in again"
        )

    async def _forget_client(self, client: OAuthClientInformationFull | None) -> None:
        if client is not None:
            await self.token_store.update(lambda login: login.without_registration(client.client_id))

    def _is_renewable(self, login: Login) -> bool:
        return self.callback_server is None or (login.tokens is not None and bool(login.tokens.refresh_token))

    async def _fetch_login(self, login: Login) -> Login | None:
        try:
            with anyio.fail_after(_FLOW_SECONDS):
                if self.options.grant == "client_credentials":
                    return await ClientCredentialsFlow(self.options, login).fetch()
                if not self._is_renewable(login):
                    return None
                return await AuthorizationCodeFlow(self.options, self.token_store).refresh()
        except TimeoutError:
            raise ServerUnavailable(f"OAuth: it gave no tokens within {_FLOW_SECONDS:g} s") from None
        except ClientRejected as error:
            if self.callback_server is None:
                raise AuthError(f"OAuth: {error}") from None
            raise
        except (OAuthFlowError, OAuthRegistrationError, OAuthTokenError) as error:
            raise AuthError(f"OAuth: {error}") from None
        except httpx2.TransportError as error:
            reason = explain_tls_error(error) or str(error) or type(error).__name__
            raise ServerUnavailable(f"OAuth: it cannot be reached: {reason}") from None

    async def _login_required(self, reason: str = "it needs a login") -> AuthError:
        if self.callback_server is None:
            return AuthError("its authorization server gave no token for the client credentials")
        link = await self.callback_server.login_url()
        return LoginRequired(
            link,
            f"{reason}: open {link} in a browser on the gateway's machine, or run "
            f"'mcp-orchestration-gateway login {self.options.server}' there, then try again",
        )


def make_bearer(value: str) -> Credentials:
    """Return the credentials of an `Authorization` header.

    Raises:
        AuthError: it has control characters in it.

    """
    if has_control_characters(value):
        raise AuthError("auth_header must not have control characters in it, such as a line break at its end")
    return Credentials.of({"Authorization": value})
