"""OAuth strategy: access tokens, refreshed early, or a login link.

Every call gets an access token, or else an error with the login link.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
import httpx2
from mcp.client.auth import OAuthFlowError, OAuthTokenError

from mcp_gateway.plugin import (
    AuthError,
    AuthStrategy,
    Caller,
    ConfigError,
    Credentials,
    LoginRequired,
    ServerUnavailable,
)
from mcp_gateway_auth_oauth.flows import AuthorizationCodeFlow, ClientCredentialsFlow
from mcp_gateway_auth_oauth.options import OAuthOptions
from mcp_gateway_auth_oauth.pages import CallbackServer, LoginAttempt
from mcp_gateway_auth_oauth.vault import Login, TokenStore

# Bounded, because a keyring may wait for a person to unlock it, in a window that is not visible.
_KEYRING_SECONDS = 30.0

_FLOW_SECONDS = 60.0
"""How long a flow without a person may take in all; the timeouts of reads do not bound a trickling response."""


@dataclass(slots=True)
class OAuthStrategy:
    """Strategy with one login to a server, shared by all callers."""

    options: OAuthOptions = field(repr=False)
    token_store: TokenStore = field(repr=False)
    callback_server: CallbackServer | None = field(default=None, repr=False)
    same_for_all: bool = True
    _login_completed: anyio.Event = field(default_factory=anyio.Event, repr=False)

    async def credentials(self, caller: Caller) -> Credentials:
        """Return the access token; a call's `auth_header` takes precedence.

        Raises:
            LoginRequired: there is no valid login.
            ServerUnavailable: the authorization server is unreachable.

        """
        if caller.auth_header is not None:
            return _bearer_credentials(caller.auth_header)
        login = self.token_store.read()
        access = login.valid_access_token or (await self._replace_token() if self._is_renewable(login) else None)
        if access is not None:
            return _bearer_credentials(f"Bearer {access}")
        raise await self._login_required()

    async def refresh(self, credentials: Credentials) -> bool:
        """Replace an access token that the server rejected.

        Returns whether there is another token.
        """
        sent = credentials.headers.get("Authorization", "").removeprefix("Bearer ")
        return await self._replace_token(sent) is not None

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

    async def complete_login(self, redirect: str, attempt: LoginAttempt) -> None:
        """Complete a login that a person has begun in a browser.

        The tokens are written to the token store.
        """
        flow = AuthorizationCodeFlow(
            self.options, self.token_store, redirect, attempt.set_authorization_url, attempt.wait_for_result
        )
        login = await flow.fetch()
        # Not held during the flow, because a person takes minutes and refreshes would have to wait.
        async with self.token_store.write_lock():
            self.token_store.write(login)
        self._login_completed.set()
        self._login_completed = anyio.Event()

    async def _replace_token(self, refused: str | None = None) -> str | None:
        """Return an access token other than the rejected or expired one.

        None if there is none. After waiting for another process to refresh, its tokens are used.
        """
        async with self.token_store.write_lock():  # after the wait, tokens of another process's refresh are found
            login = self.token_store.read()
            if login.valid_access_token is not None and login.valid_access_token != refused:
                return login.valid_access_token
            found = await self._fetch_login(login)
            if found is not None or login.tokens is not None:
                self.token_store.write(found or login.model_copy(update={"tokens": None, "expires": None}))
            return found.tokens.access_token if found is not None and found.tokens is not None else None

    def _is_renewable(self, login: Login) -> bool:
        return self.callback_server is None or (login.tokens is not None and bool(login.tokens.refresh_token))

    async def _fetch_login(self, login: Login) -> Login | None:
        try:
            with anyio.fail_after(_FLOW_SECONDS):
                if self.options.grant == "client_credentials":
                    return await ClientCredentialsFlow(self.options).fetch()
                if not self._is_renewable(login):
                    return None
                return await AuthorizationCodeFlow(self.options, self.token_store).refresh()
        except TimeoutError:
            raise ServerUnavailable(f"OAuth: it gave no tokens within {_FLOW_SECONDS:g} s") from None
        except (OAuthFlowError, OAuthTokenError) as error:
            raise AuthError(f"OAuth: {error}") from None
        except httpx2.TransportError as error:
            reason = str(error) or type(error).__name__
            raise ServerUnavailable(f"OAuth: it cannot be reached: {reason}") from None

    async def _login_required(self) -> AuthError:
        if self.callback_server is None:
            return AuthError("its authorization server gave no token for the client credentials")
        link = await self.callback_server.login_url()
        return LoginRequired(
            link,
            f"it needs a login: open {link} in a browser on the gateway's machine, or run "
            f"'mcp-orchestration-gateway login {self.options.server}' there, then try again",
        )


@asynccontextmanager
async def open_strategy(options: OAuthOptions) -> AsyncIterator[AuthStrategy]:
    """Open the token store, and yield the strategy.

    The callback server starts on demand, and closes with the gateway. Raises ConfigError if the system keyring
    does not respond in time.
    """
    key = options.key.get_secret_value() if options.key is not None else None
    try:
        with anyio.fail_after(_KEYRING_SECONDS):
            vault = await anyio.to_thread.run_sync(
                TokenStore.open, options.server, str(options.url), options.folder, key, abandon_on_cancel=True
            )
    except TimeoutError:
        raise ConfigError("the system keyring does not answer: unlock it, or set GATEWAY_OAUTH_KEY") from None
    async with anyio.create_task_group() as tasks:
        strategy = OAuthStrategy(options, vault)
        if options.grant == "authorization_code":
            strategy.callback_server = CallbackServer(
                options.server, options.callback_port, tasks, strategy.complete_login
            )
        try:
            yield strategy
        finally:
            tasks.cancel_scope.cancel()


def _bearer_credentials(value: str) -> Credentials:
    if any(character < " " or character == "\x7f" for character in value):
        raise AuthError("auth_header must not have control characters in it, such as a line break at its end")
    return Credentials.of({"Authorization": value})
