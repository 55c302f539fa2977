"""OAuth strategy: access tokens, refreshed early, or a login link.

Every call gets an access token; without one it gets the link in an error.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
import httpx2
from mcp.client.auth import OAuthFlowError, OAuthTokenError

from mcp_gateway.plugin import AuthError, AuthStrategy, Caller, ConfigError, Credentials, LoginNeeded, ServerUnavailable
from mcp_gateway_auth_oauth.flows import MachineFlow, PersonFlow
from mcp_gateway_auth_oauth.options import OAuthOptions
from mcp_gateway_auth_oauth.pages import Attempt, Pages
from mcp_gateway_auth_oauth.vault import Login, Vault

_KEYRING_SECONDS = 30.0

_FLOW_SECONDS = 60.0
"""How long it may take to get tokens in which no person has a part: what comes byte by byte never times out."""


@dataclass(slots=True)
class OAuth:
    """The login to one server.

    All callers of the gateway share it.
    """

    options: OAuthOptions = field(repr=False)
    vault: Vault = field(repr=False)
    pages: Pages | None = field(default=None, repr=False)
    shared: bool = True
    _entered: anyio.Event = field(default_factory=anyio.Event, repr=False)

    async def credentials(self, caller: Caller) -> Credentials:
        """Return the access token; the `auth_header` of the call wins.

        Raises:
            LoginNeeded: nobody is logged in.
            ServerUnavailable: the authorization server cannot be reached.

        """
        if caller.override is not None:
            return _header(caller.override)
        login = self.vault.read()
        access = login.access or (await self._renewed() if self._is_renewable(login) else None)
        if access is not None:
            return _header(f"Bearer {access}")
        raise await self._login_needed()

    async def refused(self, credentials: Credentials) -> bool:
        """Replace an access token that the server rejected.

        Returns whether there is another token.
        """
        sent = credentials.headers.get("Authorization", "").removeprefix("Bearer ")
        return await self._renewed(sent) is not None

    async def login(self, show: Callable[[str], None]) -> None:
        """Wait until a person has logged in.

        `show` gets the link to the login. Raises AuthError with client credentials, which need no login.
        """
        if self.pages is None:
            raise AuthError("it has client credentials, so nobody has to log in")
        entered = self._entered
        show(await self.pages.link())
        await entered.wait()

    async def enter(self, redirect: str, attempt: Attempt) -> None:
        """Complete a login that a person has begun in a browser.

        The tokens are written to the token store.
        """
        flow = PersonFlow(self.options, self.vault, redirect, attempt.show, attempt.result)
        login = await flow.fetched()
        async with self.vault.turn():
            self.vault.write(login)
        self._entered.set()
        self._entered = anyio.Event()

    async def _renewed(self, refused: str | None = None) -> str | None:
        """Return an access token other than the rejected or expired one.

        None if there is none. After waiting for another process to refresh, its tokens are used.
        """
        async with self.vault.turn():  # whoever waited for another's refresh finds its tokens
            login = self.vault.read()
            if login.access is not None and login.access != refused:
                return login.access
            found = await self._fetched(login)
            if found is not None or login.tokens is not None:
                self.vault.write(found or login.model_copy(update={"tokens": None, "expires": None}))
            return found.tokens.access_token if found is not None and found.tokens is not None else None

    def _is_renewable(self, login: Login) -> bool:
        return self.pages is None or (login.tokens is not None and bool(login.tokens.refresh_token))

    async def _fetched(self, login: Login) -> Login | None:
        try:
            with anyio.fail_after(_FLOW_SECONDS):
                if self.options.grant == "client_credentials":
                    return await MachineFlow(self.options).fetched()
                if not self._is_renewable(login):
                    return None
                return await PersonFlow(self.options, self.vault).refreshed()
        except TimeoutError:
            raise ServerUnavailable(f"OAuth: it gave no tokens within {_FLOW_SECONDS:g} s") from None
        except (OAuthFlowError, OAuthTokenError) as error:
            raise AuthError(f"OAuth: {error}") from None
        except httpx2.TransportError as error:
            said = str(error) or type(error).__name__
            raise ServerUnavailable(f"OAuth: it cannot be reached: {said}") from None

    async def _login_needed(self) -> AuthError:
        if self.pages is None:
            return AuthError("its authorization server gave no token for the client credentials")
        link = await self.pages.link()
        return LoginNeeded(
            link,
            f"it needs a login: open {link} in a browser on the gateway's machine, or run "
            f"'mcp-orchestration-gateway login {self.options.server}' there, then try again",
        )


@asynccontextmanager
async def oauth(options: OAuthOptions) -> AsyncIterator[AuthStrategy]:
    """Open the token store, and yield the strategy.

    The callback server starts on demand, and closes with the gateway. Raises ConfigError if the system keyring
    does not respond in time.
    """
    key = options.key.get_secret_value() if options.key is not None else None
    try:
        with anyio.fail_after(_KEYRING_SECONDS):
            vault = await anyio.to_thread.run_sync(
                Vault.of, options.server, str(options.url), options.folder, key, abandon_on_cancel=True
            )
    except TimeoutError:
        raise ConfigError("the system keyring does not answer: unlock it, or set GATEWAY_OAUTH_KEY") from None
    async with anyio.create_task_group() as tasks:
        strategy = OAuth(options, vault)
        if options.grant == "authorization_code":
            strategy.pages = Pages(options.server, options.callback_port, tasks, strategy.enter)
        try:
            yield strategy
        finally:
            tasks.cancel_scope.cancel()


def _header(value: str) -> Credentials:
    if any(character < " " or character == "\x7f" for character in value):
        raise AuthError("auth_header must not have control characters in it, such as a line break at its end")
    return Credentials.of({"Authorization": value})
