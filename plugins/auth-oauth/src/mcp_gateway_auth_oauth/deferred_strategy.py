"""OAuth strategy that opens its token store at the first use.

The key of the store may be in a keyring that is locked now: only requests to this server fail then, each with the
reason, until it is unlocked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import anyio
import anyio.to_thread

from mcp_gateway.plugin import AuthStrategy, Caller, ConfigError, Credentials, ServerUnavailable
from mcp_gateway_auth_oauth.ciphers import SET_KEY, check_key
from mcp_gateway_auth_oauth.options import OAuthOptions
from mcp_gateway_auth_oauth.pages import CallbackServer
from mcp_gateway_auth_oauth.strategy import OAuthStrategy, make_bearer
from mcp_gateway_auth_oauth.vault import TokenStore

SERVING_SECONDS = 5.0
"""How long a request waits for a keyring, which may wait for a person in a window that is not visible."""

PERSON_SECONDS = 60.0
"""How long `login` and `logout` wait: a person may have to type the password of the keyring."""

_MAX_PAUSE = 300.0


@dataclass(slots=True)
class StoreOpener:
    """Opener of a token store, for all requests to a server.

    A keyring may never answer, and a thread that waits for it cannot be stopped. So requests share an attempt, and the
    next begins after a pause, which doubles while none is answered. Threads are daemons, so the process can end.
    """

    open: Callable[[], TokenStore]
    store: TokenStore | None = None
    _attempt: Future[TokenStore] | None = None
    _pause: float = 0.0
    _next: float = 0.0

    async def wait(self, seconds: float) -> TokenStore:
        """Return the token store.

        Raises:
            ServerUnavailable: there is no key for it now; it says why and what to do.

        """
        if self.store is not None:
            return self.store
        result = self._begin(seconds).result
        try:
            return await anyio.to_thread.run_sync(result, seconds, abandon_on_cancel=True)
        except TimeoutError:
            message = f"the system keyring has not answered within {seconds:g} s: unlock it, or {SET_KEY}"
            raise ServerUnavailable(message, permanent=True) from None
        except ConfigError as error:
            raise ServerUnavailable(str(error), permanent=True) from None

    def _begin(self, seconds: float) -> Future[TokenStore]:
        """Return the attempt under way, or a new one."""
        is_silent, now = self._attempt is not None and not self._attempt.done(), time.monotonic()
        if self._attempt is not None and is_silent and now < self._next:
            return self._attempt
        self._pause = min(2 * self._pause, _MAX_PAUSE) if is_silent else seconds
        self._attempt, self._next = Future(), now + self._pause
        threading.Thread(target=self._run, args=(self._attempt,), name="open token store", daemon=True).start()
        return self._attempt

    def _run(self, attempt: Future[TokenStore]) -> None:
        try:
            self.store = self.open()  # for all requests, also if this one's have given up
            attempt.set_result(self.store)
        except BaseException as error:  # noqa: BLE001  # it is raised again, where the result is wanted
            attempt.set_exception(error)


@dataclass(slots=True)
class DeferredStrategy:
    """Strategy that needs its token store only when it is used."""

    opener: StoreOpener = field(repr=False)
    make: Callable[[TokenStore], OAuthStrategy] = field(repr=False)
    same_for_all: bool = True
    _strategy: OAuthStrategy | None = field(default=None, repr=False)

    async def credentials(self, caller: Caller) -> Credentials:
        """Return the access token; a call's `auth_header` takes precedence.

        Raises:
            LoginRequired: there is no valid login.
            ServerUnavailable: there is no key of the logins, or the authorization server is unreachable.

        """
        if caller.auth_header is not None:
            return make_bearer(caller.auth_header)
        return await (await self._open(SERVING_SECONDS)).credentials(caller)

    async def answer_challenge(self, credentials: Credentials, status: int, challenge: str) -> bool:
        """Replace a rejected access token; return whether there is another."""
        return await (await self._open(SERVING_SECONDS)).answer_challenge(credentials, status, challenge)

    def is_login_pending(self) -> bool:
        """Whether a challenge waits for a login."""
        return self._strategy is not None and self._strategy.is_login_pending()

    async def login(self, show: Callable[[str], None]) -> None:
        """Wait until a person has logged in; `show` gets the link."""
        await (await self._open(PERSON_SECONDS)).login(show)

    async def logout(self) -> bool | None:
        """Drop the tokens; return whether they are revoked, None without any."""
        return await (await self._open(PERSON_SECONDS)).logout()

    async def _open(self, seconds: float) -> OAuthStrategy:
        if self._strategy is None:
            store = await self.opener.wait(seconds)
            self._strategy = self._strategy or self.make(store)  # another request may have made it meanwhile
        return self._strategy


@asynccontextmanager
async def open_strategy(options: OAuthOptions) -> AsyncIterator[AuthStrategy]:
    """Yield the strategy of one server.

    The callback server starts on demand, and closes with the gateway. Raises ConfigError if `GATEWAY_OAUTH_KEY` is no
    key.
    """
    key = options.key.get_secret_value() if options.key is not None else None
    if key is not None:
        check_key(key)  # at once: no server can be used with it, and waiting does not mend it
    opener = StoreOpener(partial(TokenStore.open, options.server, str(options.url), options.folder, key))
    async with anyio.create_task_group() as tasks:

        def make(store: TokenStore) -> OAuthStrategy:
            strategy = OAuthStrategy(options, store, tasks)
            if options.grant == "authorization_code":
                strategy.callback_server = CallbackServer(
                    options.server,
                    options.callback_port,
                    tasks,
                    strategy.complete_login,
                    preferred_ports=lambda: store.read().ports,
                )
            return strategy

        try:
            yield DeferredStrategy(opener, make)
        finally:
            tasks.cancel_scope.cancel()
