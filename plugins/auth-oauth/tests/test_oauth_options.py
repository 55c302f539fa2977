import httpx2
import pytest
from mcp.client.auth import OAuthFlowError
from mcp_gateway_auth_oauth import mcp_gateway_auth_strategies
from mcp_gateway_auth_oauth.http.guard import OAuthRequestGuard
from pydantic import ValidationError

from mcp_gateway.plugin import ANONYMOUS, AuthError, LoginRequired

(PROVIDER,) = mcp_gateway_auth_strategies()
URL = "https://crm.example/mcp"


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({}, "url"),
        ({"url": "ftp://crm.example"}, "url"),
        ({"url": URL, "grant": "implicit"}, "grant"),
        ({"url": URL, "grant": "client_credentials", "client_id": "x"}, "client_secret"),
        ({"url": URL, "client_id": "x", "client_secret": "s3cr3t"}, "issuer"),
        ({"url": URL, "callback_port": 70000}, "callback_port"),
    ],
    ids=str,
)
def test_wrong_options_are_refused_without_showing_them(wrong, said):
    with pytest.raises(ValidationError, match=said) as caught:
        PROVIDER.bind(wrong)
    assert "s3cr3t" not in str(caught.value)


@pytest.fixture
def source(tmp_path):
    return {"name": "crm", "url": URL, "GATEWAY_OAUTH_FOLDER": str(tmp_path)}


async def test_without_a_login_it_says_where_to_log_in(source):
    async with PROVIDER.bind(source).open() as strategy:
        with pytest.raises(LoginRequired) as caught:
            await strategy.credentials(ANONYMOUS)
        assert caught.value.url.startswith("http://127.0.0.1:")
        async with httpx2.AsyncClient() as client:
            assert (await client.get(f"{caught.value.url}x")).status_code == 404
            assert (await client.get(caught.value.url, headers={"host": "evil.example"})).status_code == 400


async def test_nobody_logs_in_where_there_are_client_credentials(source):
    machine = {"grant": "client_credentials", "client_id": "x", "client_secret": "y", "issuer": "https://login.example"}
    async with PROVIDER.bind({**source, **machine}).open() as strategy:
        with pytest.raises(AuthError, match="nobody has to log in"):
            await strategy.login(print)


@pytest.mark.parametrize(
    "home, where",
    [
        ("https://1.1.1.1/mcp", "http://127.0.0.1:8080/authorize"),
        ("https://1.1.1.1/mcp", "https://10.0.0.1/token"),
        ("https://1.1.1.1/mcp", "http://8.8.8.8/token"),
        ("https://1.1.1.1/mcp", "https://[::ffff:192.168.0.1]/token"),
        ("https://1.1.1.1/mcp", "https://[64:ff9b::10.0.0.1]/token"),
        ("https://1.1.1.1/mcp", "https://[2002:a00:1::]/token"),
        ("http://127.0.0.1/mcp", "http://169.254.169.254/latest/meta-data"),
        ("http://127.0.0.1/mcp", "http://[fe80::1]/x"),
        ("http://127.0.0.1/mcp", "http://[::ffff:169.254.169.254]/x"),
    ],
    ids=str,
)
async def test_a_server_may_not_lead_the_gateway_astray(home, where):
    with pytest.raises(OAuthFlowError, match="a login may not lead to"):
        await OAuthRequestGuard(home)(httpx2.Request("GET", where))


@pytest.mark.parametrize(
    "home, where",
    [
        ("https://1.1.1.1/mcp", "https://8.8.8.8/token"),
        ("http://127.0.0.1/mcp", "http://127.0.0.1:9/token"),
        ("http://10.0.0.1/mcp", "https://8.8.8.8/token"),
    ],
    ids=str,
)
async def test_it_may_lead_it_to_where_logins_are(home, where):
    await OAuthRequestGuard(home)(httpx2.Request("GET", where))
