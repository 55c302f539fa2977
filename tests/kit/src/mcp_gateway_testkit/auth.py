"""Contract of auth strategies."""

from __future__ import annotations

from typing import ClassVar

import pytest

from mcp_gateway.plugin import ANONYMOUS, AuthError, AuthStrategy, Caller, Credentials
from mcp_gateway_testkit.contract import SECRET, Contract

OF_THE_CALLER = f"Bearer {SECRET}-of-the-caller"
OF_THE_CALL = f"Bearer {SECRET}-of-the-call"


class AuthContract(Contract[AuthStrategy]):
    """Contract of auth strategies.

    `anonymous_allowed` says whether the strategy works without a caller's own credentials.
    """

    hook = "mcp_gateway_auth_strategies"
    entry_prefix = "auth"

    anonymous_allowed: ClassVar[bool]

    async def test_it_does_what_an_auth_strategy_does(self, subject: AuthStrategy) -> None:
        """It has the method of the protocol."""
        assert isinstance(subject, AuthStrategy)

    async def test_anonymous_callers_get_credentials_or_an_auth_error(self, subject: AuthStrategy) -> None:
        """The gateway itself comes without anything, at start-up."""
        if self.anonymous_allowed:
            assert isinstance(await subject.credentials(ANONYMOUS), Credentials)
        else:
            with pytest.raises(AuthError, match=r"\w"):
                await subject.credentials(ANONYMOUS)

    async def test_the_same_caller_gets_equal_credentials(self, subject: AuthStrategy) -> None:
        """Sessions are shared by equal credentials, and found by their hash."""
        first = await subject.credentials(Caller(headers={"authorization": OF_THE_CALLER}))
        second = await subject.credentials(Caller(headers={"authorization": OF_THE_CALLER}))
        assert first == second
        assert hash(first) == hash(second)

    async def test_what_is_said_to_be_shared_is_the_same_for_all(self, subject: AuthStrategy) -> None:
        """Require equal credentials where `same_for_all` is set.

        A strategy that sets it wrongly shows callers the data of others.
        """
        if getattr(subject, "same_for_all", False) and self.anonymous_allowed:
            caller = Caller(headers={"authorization": OF_THE_CALLER}, client="one")
            assert await subject.credentials(caller) == await subject.credentials(ANONYMOUS)

    async def test_the_connection_makes_no_difference(self, subject: AuthStrategy) -> None:
        """Require credentials that do not depend on the connection.

        A caller's permissions do not change from one client window to another.
        """
        one = Caller(headers={"authorization": OF_THE_CALLER}, client="one")
        two = Caller(headers={"authorization": OF_THE_CALLER}, client="two")
        assert await subject.credentials(one) == await subject.credentials(two)

    async def test_header_names_are_matched_in_any_case(self, subject: AuthStrategy) -> None:
        """They have none in HTTP."""
        spellings = ("authorization", "Authorization", "AUTHORIZATION")
        got = [await subject.credentials(Caller(headers={name: OF_THE_CALLER})) for name in spellings]
        assert got == [got[0]] * len(spellings)

    async def test_an_override_wins(self, subject: AuthStrategy) -> None:
        """Require the call's `auth_header` in place of the caller's header."""
        caller = Caller(headers={"authorization": OF_THE_CALLER}, auth_header=OF_THE_CALL)
        values = list((await subject.credentials(caller)).headers.values())
        assert any(OF_THE_CALL in value for value in values)
        assert not any(OF_THE_CALLER in value for value in values)

    async def test_an_override_is_enough(self, subject: AuthStrategy) -> None:
        """Over stdio there are no headers."""
        given = await subject.credentials(Caller(auth_header=OF_THE_CALL))
        assert any(OF_THE_CALL in value for value in given.headers.values())

    @pytest.mark.parametrize("end", ["\n", "\r\nX-Other: 1", "\x00"], ids=ascii)
    async def test_an_override_that_cannot_be_a_header_is_refused(self, subject: AuthStrategy, end: str) -> None:
        """Require an AuthError for an `auth_header` with control characters.

        A model wrote it: a line break in it would begin another header.
        """
        with pytest.raises(AuthError) as caught:
            await subject.credentials(Caller(auth_header=OF_THE_CALL + end))
        assert SECRET not in str(caught.value)

    async def test_headers_are_sent_once(self, subject: AuthStrategy) -> None:
        """No header is there in two spellings."""
        caller = Caller(headers={"authorization": OF_THE_CALLER}, auth_header=OF_THE_CALL)
        names = [name.lower() for name, _ in (await subject.credentials(caller)).pairs]
        assert len(names) == len(set(names))

    async def test_nothing_secret_is_printed(self, subject: AuthStrategy) -> None:
        """Neither by the strategy, nor by what it returns."""
        caller = Caller(headers={"authorization": OF_THE_CALLER}, auth_header=OF_THE_CALL)
        for thing in (subject, caller, await subject.credentials(caller)):
            assert SECRET not in f"{thing!r}{thing!s}"
