"""Protocols of auth strategies.

They are structural: a product need not inherit from them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from mcp_gateway.plugin.values import Caller, Credentials


@runtime_checkable
class AuthStrategy(Protocol):
    """Decides which credentials a call carries downstream."""

    async def credentials(self, caller: Caller) -> Credentials:
        """Return this caller's credentials; equal callers must get equal credentials.

        Raises:
            AuthError: the caller brought none and the strategy has none.
            LoginRequired: a person has to log in first; the error says where.

        """
        ...


@runtime_checkable
class SharedCredentials(AuthStrategy, Protocol):
    """Optional: a strategy with the same credentials for every caller.

    What a server offers for credentials that not all callers have is shown to those only
    who have them. So the gateway compares a caller's with an anonymous one's, at every search
    say, unless it is told here that there is no difference but by an `override`.
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
class InteractiveAuth(AuthStrategy, Protocol):
    """A strategy with which a person can log in. Optional."""

    async def login(self, show: Callable[[str], None]) -> None:
        """Call `show` with the login link and await the login.

        Raises:
            AuthError: it cannot be logged in to in this way.

        """
        ...
