import pytest
from mcp_gateway_auth_forwarded import mcp_gateway_auth_strategies
from pydantic import ValidationError

from mcp_gateway.plugin import ANONYMOUS, AuthError, Caller

(PROVIDER,) = mcp_gateway_auth_strategies()


async def headers(caller: Caller, **source: object) -> dict[str, str]:
    async with PROVIDER.bind(source).open() as strategy:
        return (await strategy.credentials(caller)).headers


async def test_the_callers_authorization_is_passed_on_and_no_other_header():
    caller = Caller(headers={"authorization": "Bearer own", "cookie": "c", "x-api-key": "k"})
    assert await headers(caller) == {"Authorization": "Bearer own"}


async def test_another_header_can_be_chosen():
    caller = Caller(headers={"authorization": "Bearer own", "x-api-key": "k"})
    assert await headers(caller, auth_header_name="X-Api-Key") == {"X-Api-Key": "k"}


async def test_callers_with_other_credentials_are_told_apart():
    one, two = (Caller(headers={"authorization": f"Bearer {name}"}) for name in ("one", "two"))
    assert await headers(one) != await headers(two)


async def test_an_override_goes_out_under_the_chosen_name():
    assert await headers(Caller(auth_header="k"), auth_header_name="X-Api-Key") == {"X-Api-Key": "k"}


@pytest.mark.parametrize("caller", [ANONYMOUS, Caller(headers={"authorization": ""}), Caller(auth_header="")], ids=str)
async def test_without_a_header_it_says_which_one_is_wanted(caller):
    with pytest.raises(AuthError, match=r"X-Api-Key.*auth_header"):
        await headers(caller, auth_header_name="X-Api-Key")


async def test_an_empty_override_does_not_fall_back_to_the_header():
    with pytest.raises(AuthError):
        await headers(Caller(headers={"authorization": "Bearer own"}, auth_header=""))


async def test_a_header_with_control_characters_is_not_passed_on():
    with pytest.raises(AuthError) as caught:
        await headers(Caller(headers={"authorization": "Bearer s3cr3t\nX: 1"}))
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "X Y", "X\r\nY"], ids=ascii)
def test_a_name_that_is_no_headers_is_refused(name):
    with pytest.raises(ValidationError):
        PROVIDER.bind({"auth_header_name": name})
