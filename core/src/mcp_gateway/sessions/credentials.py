"""Credentials of requests, and the session keys made from them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TypeVar

import structlog

from mcp_gateway.client.errors import CredentialsRejected, NoLongerConfigured
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.plugin import (
    ANONYMOUS,
    AuthError,
    AuthStrategy,
    Caller,
    ClientTransport,
    Credentials,
    GatewayError,
    LoginRequired,
    RefreshableAuth,
    ServerUnavailable,
    SupportsChallenge,
)
from mcp_gateway.protocol.capabilities import encode_capabilities
from mcp_gateway.sessions.retry import RetryPolicy
from mcp_gateway.sessions.session_key import SessionKey

ResultT = TypeVar("ResultT")

log = structlog.get_logger(__name__)

_NONE = Credentials()


@dataclass(frozen=True, slots=True)
class CredentialResolver:
    """Resolver of credentials; `strategies` maps servers to auth strategies."""

    strategies: Mapping[str, AuthStrategy]
    client_transports: Mapping[str, ClientTransport]

    async def session_key(self, spec: ServerSpec, caller: Caller) -> SessionKey:
        """Return the session key of a request.

        Requests with equal keys share a session.

        Raises:
            AuthError: the caller sent no credentials for a server that needs them,
                or unusable ones.
            LoginRequired: a person has to log in first.
            ServerUnavailable: the auth plugin failed to get the credentials.

        """
        return self.session_key_nowait(spec, caller) or await self.session_key_of_strategy(spec, caller)

    def session_key_nowait(self, spec: ServerSpec, caller: Caller) -> SessionKey | None:
        """Return the session key without awaiting, or None.

        None means that the server has an auth strategy, which `session_key_of_strategy` asks.
        """
        if (transport := self.client_transports.get(spec.name)) is None:
            raise NoLongerConfigured(spec.name)
        if not transport.carries_credentials:
            self._refuse_override(spec, caller, "its transport carries no headers; leave auth_header out")
            credentials = _NONE
        else:
            if not spec.overridable:
                self._refuse_override(spec, caller, "GATEWAY_AUTH_MODE=static forwards nothing; leave auth_header out")
            if spec.name in self.strategies:
                return None
            credentials = Credentials.of({"Authorization": caller.auth_header}) if caller.auth_header else _NONE
        client = caller.client if spec.stateful else None
        return SessionKey(spec, credentials, client, encode_capabilities(caller.capabilities), caller.client)

    async def session_key_of_strategy(self, spec: ServerSpec, caller: Caller) -> SessionKey:
        """Return the session key with the credentials of the server's auth strategy.

        For a server and a caller that `session_key_nowait` has no key for. Raises as `session_key` does.
        """
        asker = caller
        if spec.auth_optional and caller.principal is not None:
            # The caller's token was issued for the gateway: it is forwarded only if the server's auth_type says so.
            asker = replace(caller, headers={})
        try:
            credentials = await self.strategies[spec.name].credentials(asker)
        except Exception as error:  # noqa: BLE001  # a border with foreign code: plugins may raise anything
            if not spec.auth_optional or isinstance(error, LoginRequired) or not isinstance(error, AuthError):
                raise _name_server(spec, error) from None
            credentials = _NONE
        client = caller.client if spec.stateful else None
        return SessionKey(spec, credentials, client, encode_capabilities(caller.capabilities), caller.client)

    def may_have_private(self, spec: ServerSpec, caller: Caller) -> bool:
        """Whether `private_credentials` has to be asked.

        It is told at once, and without asking the auth plugin.
        """
        strategy = self.strategies.get(spec.name)
        if caller.auth_header is not None:
            return True
        if strategy is None or getattr(strategy, "same_for_all", False) is True:
            return False
        return bool(caller.headers) or caller.principal is not None  # a stdio client sends no headers of its own

    async def private_credentials(self, spec: ServerSpec, caller: Caller) -> Credentials | None:
        """Return the caller's credentials unless equal to the anonymous ones.

        None if the caller has the same credentials as every other caller, or none at all. What a server lists for a
        caller's own credentials must not reach the shared catalog.
        """
        if not self.may_have_private(spec, caller):
            return None
        try:
            theirs = (await self.session_key(spec, caller)).credentials
        except GatewayError:
            return None
        try:
            everybodys = (await self.session_key(spec, ANONYMOUS)).credentials
        except GatewayError:
            return theirs
        return None if theirs == everybodys else theirs

    def is_login_pending(self, spec: ServerSpec) -> bool:
        """Whether a login is awaited though there are credentials.

        A server has rejected some request with them, and its auth strategy has asked for a login.
        """
        strategy = self.strategies.get(spec.name)
        return isinstance(strategy, SupportsChallenge) and strategy.is_login_pending()

    async def with_credentials(
        self,
        spec: ServerSpec,
        caller: Caller,
        operation: Callable[[SessionKey], Awaitable[ResultT]],
    ) -> ResultT:
        """Call `operation` with a session key, refreshing rejected credentials once.

        On HTTP 401 the auth strategy is asked to refresh the credentials, and `operation` is called once more with
        the new session key.
        """
        session_key = await self.session_key(spec, caller)
        try:
            return await operation(session_key)
        except CredentialsRejected as error:
            session_key = await self.renew(session_key, caller, error, RetryPolicy(spec))
        return await operation(session_key)

    async def renew(
        self, session_key: SessionKey, caller: Caller, error: CredentialsRejected, retry: RetryPolicy
    ) -> SessionKey:
        """Return a session key with refreshed credentials.

        The server has rejected others with HTTP 401; or 403, which only some auth strategies can do something about.

        Raises:
            CredentialsRejected: there are no others, or this request has been renewed already.
            LoginRequired: a person has to log in first.
            AuthError: the auth strategy says why there are no others.
            ServerUnavailable: other credentials cannot be had now.

        """
        spec = session_key.spec
        strategy = self.strategies.get(spec.name)
        if caller.auth_header is not None or strategy is None or not retry.may_renew():
            raise error
        if not await self._replace_rejected(spec, strategy, session_key.credentials, error):
            if error.status == HTTPStatus.UNAUTHORIZED:
                await self.session_key(spec, caller)  # may raise LoginRequired, which is more useful than the 401
            raise error
        return await self.session_key(spec, caller)

    async def _replace_rejected(
        self, spec: ServerSpec, strategy: AuthStrategy, rejected: Credentials, error: CredentialsRejected
    ) -> bool:
        """Have rejected credentials replaced; return whether there are others."""
        if isinstance(strategy, SupportsChallenge) and error.status is not None:
            try:
                return await strategy.answer_challenge(rejected, error.status, error.challenge)
            except Exception as failure:  # noqa: BLE001  # a border with foreign code: plugins may raise anything
                raise _name_server(spec, failure) from None
        if isinstance(strategy, RefreshableAuth) and error.status == HTTPStatus.UNAUTHORIZED:
            return await self._refresh(spec, strategy, rejected)
        return False

    async def _refresh(self, spec: ServerSpec, strategy: RefreshableAuth, rejected: Credentials) -> bool:
        """Refresh rejected credentials; return whether there are new ones.

        An error of the strategy is logged, and the result is False.
        """
        try:
            return await strategy.refresh(rejected)
        except GatewayError as error:
            log.info("credentials not refreshed", server=spec.name, reason=str(error))
        except Exception:
            log.exception("auth plugin failed", server=spec.name)
        return False

    def _refuse_override(self, spec: ServerSpec, caller: Caller, reason: str) -> None:
        if caller.auth_header is not None:
            raise AuthError(f"server {spec.name!r}: {reason}")


def _name_server(spec: ServerSpec, error: Exception) -> GatewayError:
    """Return the error of a server's auth strategy with the server's name."""
    words = f"server {spec.name!r}: {error}"
    match error:
        case LoginRequired():
            return LoginRequired(error.url, words)
        case AuthError():
            return AuthError(words)
        case ServerUnavailable():
            return ServerUnavailable(words, permanent=error.permanent)
    log.error("auth plugin failed", server=spec.name, exc_info=error)
    # The type only: the text of a plugin's exception may quote credentials.
    reason = f"its auth plugin failed ({type(error).__name__}); the gateway's log says why"
    return ServerUnavailable(f"server {spec.name!r}: {reason}", permanent=True)


def without_credentials(caller: Caller) -> Caller:
    """Return the caller stripped of headers, `auth_header` and principal."""
    return replace(caller, headers={}, auth_header=None, principal=None)
