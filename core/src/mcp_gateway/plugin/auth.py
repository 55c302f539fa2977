"""Protocols of auth strategies.

They are structural: a product need not inherit from them. A protocol marked optional adds something to the basic one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from mcp_gateway.plugin.values import Caller, Credentials


@runtime_checkable
class AuthStrategy(Protocol):
    """Strategy that decides which credentials are sent to a server."""

    async def credentials(self, caller: Caller) -> Credentials:
        """Return this caller's credentials; equal callers must get equal credentials.

        Raises:
            AuthError: neither the caller nor the strategy has credentials.
            LoginRequired: a person has to log in first; the error has the link.

        """
        ...


@runtime_checkable
class SharedCredentials(AuthStrategy, Protocol):
    """Optional: a strategy with the same credentials for every caller.

    A server's listing for private credentials is shown only to callers who have them, so the gateway compares each
    caller's credentials with those of an anonymous caller, for example at every search. It skips that if
    `same_for_all` is True; only an `override` of a single call makes a difference then.
    """

    @property
    def same_for_all(self) -> bool:
        """Whether all callers have the same credentials."""
        ...


@runtime_checkable
class RefreshableAuth(AuthStrategy, Protocol):
    """Optional: a strategy that can refresh rejected credentials.

    They looked valid before the server rejected them.
    """

    async def refresh(self, credentials: Credentials) -> bool:
        """Refresh credentials that the server rejected; return whether that succeeded.

        The server answered with HTTP 401.
        """
        ...


@runtime_checkable
class SupportsChallenge(AuthStrategy, Protocol):
    """Optional: a strategy that reads the challenge of a rejection.

    It is asked in place of a `RefreshableAuth`, and of HTTP 403 as well as of HTTP 401.
    """

    async def answer_challenge(self, credentials: Credentials, status: int, challenge: str) -> bool:
        """Handle a rejection; return whether there are other credentials now.

        `challenge` is the server's `WWW-Authenticate` header, empty if there was none.

        Raises:
            LoginRequired: a person has to log in, though the credentials may be good for other requests.
            AuthError: no login helps; the error says what does.
            ServerUnavailable: other credentials cannot be had now.

        """
        ...

    def is_login_pending(self) -> bool:
        """Whether a login is awaited that a challenge has asked for."""
        ...


@runtime_checkable
class InteractiveAuth(AuthStrategy, Protocol):
    """Optional: a strategy with which a person can log in."""

    async def login(self, show: Callable[[str], None]) -> None:
        """Call `show` with the login link and await the login.

        Raises:
            AuthError: the login failed, or the server does not support it.

        """
        ...


@runtime_checkable
class SupportsLogout(AuthStrategy, Protocol):
    """Optional: a strategy that can forget a person's login."""

    async def logout(self) -> bool | None:
        """Forget the login; return whether its tokens have been revoked.

        None if there was no login.
        """
        ...
