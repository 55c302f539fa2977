import pytest
from mcp_gateway_auth_static import mcp_gateway_auth_strategies
from pydantic import ValidationError

from mcp_gateway.plugin import ANONYMOUS, Caller

(PROVIDER,) = mcp_gateway_auth_strategies()


async def headers(source: dict[str, object], caller: Caller = ANONYMOUS) -> dict[str, str]:
    async with PROVIDER.bind(source).open() as strategy:
        return (await strategy.credentials(caller)).headers


async def test_every_caller_gets_the_saved_headers_and_nothing_of_its_own():
    saved = {"Authorization": "Bearer saved", "X-Tenant": "blue"}
    caller = Caller(headers={"authorization": "Bearer own", "x-tenant": "red"})
    assert await headers({"auth_headers": saved}, caller) == saved
    assert await headers({"auth_headers": saved}) == saved


async def test_an_override_replaces_one_header_and_keeps_the_others():
    saved = {"authorization": "Bearer saved", "X-Tenant": "blue"}
    got = await headers({"auth_headers": saved}, Caller(auth_header="Bearer now"))
    assert got == {"Authorization": "Bearer now", "X-Tenant": "blue"}


async def test_the_header_that_is_replaced_can_be_another():
    source = {"auth_headers": {"X-Api-Key": "saved", "X-Tenant": "blue"}, "auth_header_name": "x-api-key"}
    assert await headers(source, Caller(auth_header="now")) == {"x-api-key": "now", "X-Tenant": "blue"}


@pytest.mark.parametrize(
    "value", ["s3cr3t\n", "s3cr3t\r\nX-Other: 1", "s3cr3t\x00", "s3cr3t\t", "s3cr3t\x7f"], ids=ascii
)
def test_control_characters_in_a_header_are_refused_without_showing_it(value):
    with pytest.raises(ValidationError, match="control characters") as caught:
        PROVIDER.bind({"auth_headers": {"Authorization": value}})
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "two words", "colon:", "line\n", "ümlaut"], ids=ascii)
def test_a_name_that_is_no_headers_is_refused(name):
    with pytest.raises(ValidationError):
        PROVIDER.bind({"auth_headers": {name: "value"}})


@pytest.mark.parametrize("source", [{}, {"auth_headers": {}}, {"auth_headers": "s3cr3t"}], ids=ascii)
def test_there_must_be_a_header_to_send(source):
    with pytest.raises(ValidationError) as caught:
        PROVIDER.bind(source)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "X Y", "X\r\nY"], ids=ascii)
def test_the_name_of_the_header_that_is_replaced_is_checked_too(name):
    with pytest.raises(ValidationError):
        PROVIDER.bind({"auth_headers": {"A": "b"}, "auth_header_name": name})


def test_two_spellings_of_one_header_are_refused():
    with pytest.raises(ValidationError, match="twice"):
        PROVIDER.bind({"auth_headers": {"Authorization": "one", "authorization": "two"}})
