import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx2
import pytest
from mcp_gateway_transport_http import mcp_gateway_server_transports
from pydantic import ValidationError

from mcp_gateway.plugin import ConfigError
from mcp_gateway_testkit import reference_server

(PROVIDER,) = mcp_gateway_server_transports()
HERE = {"GATEWAY_HOST": "127.0.0.1", "GATEWAY_PORT": "0", "GATEWAY_SHUTDOWN_GRACE": "0"}


@asynccontextmanager
async def serving(**options: str) -> AsyncIterator[httpx2.AsyncClient]:
    """Serve the reference server; yield a client of it."""
    addresses: list[str] = []
    opened = anyio.Event()

    def ready(where: str) -> None:
        addresses.append(where)
        opened.set()

    async with PROVIDER.bind({**HERE, **options}).open() as transport, anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: transport.serve(reference_server(), ready=ready))
        with anyio.fail_after(30):
            await opened.wait()
        async with httpx2.AsyncClient(base_url=addresses[0].removesuffix("/mcp")) as client:
            yield client
        tasks.cancel_scope.cancel()


async def test_its_health_can_be_asked():
    async with serving() as client:
        answer = await client.get("/health")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert "server" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/sse", "/mcp/x"])
async def test_who_asks_at_another_path_hears_which_one_it_is(path):
    async with serving() as client:
        answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]["message"].endswith("MCP (Streamable HTTP) is at /mcp")


async def test_health_is_behind_the_gate_too():
    async with serving(GATEWAY_AUTH_TOKEN="the-gateways-own") as client:
        assert (await client.get("/health")).status_code == 401
        assert (await client.get("/health", headers={"x-mcp-gateway-token": "the-gateways-own"})).status_code == 200


def preflight(origin: str) -> dict[str, str]:
    return {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type, mcp-session-id, x-mcp-gateway-token",
    }


async def test_web_pages_of_this_machine_may_ask():
    async with serving() as client:
        answer = await client.options("/mcp", headers=preflight("http://localhost:6274"))
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "http://localhost:6274"
    assert "authorization" in answer.headers["access-control-allow-headers"].lower()


async def test_foreign_web_pages_may_not():
    async with serving() as client:
        answer = await client.options("/mcp", headers=preflight("https://evil.example"))
        assert answer.status_code == 400
        assert "access-control-allow-origin" not in answer.headers
        refused = await client.post("/mcp", json={}, headers={"origin": "https://evil.example"})
        assert refused.status_code == 403
        assert "access-control-allow-origin" not in refused.headers


async def test_origins_that_were_named_may():
    async with serving(GATEWAY_CORS_ORIGINS="https://app.example") as client:
        answer = await client.options("/mcp", headers=preflight("https://app.example"))
    assert answer.headers["access-control-allow-origin"] == "https://app.example"


async def test_a_request_that_is_too_long_is_refused():
    async with serving(GATEWAY_MAX_REQUEST_BYTES="1000") as client:
        headers = {"accept": "application/json, text/event-stream"}
        answer = await client.post("/mcp", json={"x": "y" * 2000}, headers=headers)
    assert answer.status_code == 413


async def test_a_port_in_use_is_a_configuration_error_that_names_the_keys():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        async with PROVIDER.bind({**HERE, "GATEWAY_PORT": port}).open() as transport:
            with pytest.raises(ConfigError, match=f"127.0.0.1:{port}.*GATEWAY_PORT"):
                await transport.serve(reference_server(), ready=print)


ALL, LOOPBACK = "listening on every interface", "listening on loopback"
TOKEN = "a-token-of-24-characters"


@pytest.mark.parametrize(
    "host, token, said",
    [
        (
            "0.0.0.0",
            None,
            {
                ALL: "requests of other machines are refused; GATEWAY_HOST=127.0.0.1 listens on this machine alone",
                "local clients only": "to let others connect, set GATEWAY_AUTH_TOKEN",
            },
        ),
        (
            "0.0.0.0",
            TOKEN,
            {ALL: "requests without a token are refused; GATEWAY_HOST=127.0.0.1 listens on this machine alone"},
        ),
        (None, None, {"local clients only": "to let others connect, set GATEWAY_AUTH_TOKEN and GATEWAY_HOST=0.0.0.0"}),
        (None, TOKEN, {LOOPBACK: "GATEWAY_HOST=0.0.0.0 listens on every interface"}),
    ],
)
async def test_the_log_says_who_gets_in_and_what_changes_that(caplog, host, token, said):
    caplog.set_level("INFO")
    environ = {**HERE, "GATEWAY_HOST": host, "GATEWAY_AUTH_TOKEN": token}
    given = {name: value for name, value in environ.items() if value is not None}
    async with PROVIDER.bind(given).open() as transport, anyio.create_task_group() as tasks:
        with anyio.fail_after(10):
            await tasks.start(start_serving, transport)
        tasks.cancel_scope.cancel()
    assert {each.message: each.hint for each in caplog.records if hasattr(each, "hint")} == said


async def start_serving(transport, *, task_status):
    await transport.serve(reference_server(), ready=task_status.started)


@pytest.mark.parametrize("host", ["256.1.1.1", "no.such.host.invalid", "203.0.113.7"])
async def test_an_address_that_is_not_ours_is_a_configuration_error(host):
    async with PROVIDER.bind({**HERE, "GATEWAY_HOST": host}).open() as transport:
        with pytest.raises(ConfigError, match="cannot listen"):
            await transport.serve(reference_server(), ready=print)


@pytest.mark.parametrize(
    "wrong",
    [
        {"GATEWAY_PORT": "70000"},
        {"GATEWAY_PORT": "x"},
        {"GATEWAY_AUTH_TOKEN": "s3cr3t"},
        {"GATEWAY_SHUTDOWN_GRACE": "-1"},
        {"GATEWAY_MAX_REQUEST_BYTES": "1"},
        {"GATEWAY_HOST": " "},
        {"GATEWAY_HOST": "127.0.0.1:8080"},
        {"GATEWAY_HOST": "http://127.0.0.1"},
        {"GATEWAY_ALLOWED_HOSTS": "*"},
        {"GATEWAY_ALLOWED_HOSTS": "gate.example:443"},
        {"GATEWAY_ALLOWED_HOSTS": "ok.example, https://gate.example"},
        {"GATEWAY_CORS_ORIGINS": "app.example"},
        {"GATEWAY_CORS_ORIGINS": "https://app.example/"},
        {"GATEWAY_AUTH_AUDIENCE": "https://gate.example/mcp"},
        {"GATEWAY_AUTH_SCOPES": "mcp:use"},
        {"GATEWAY_AUTH_JWKS": "https://login.example/keys"},
        {"GATEWAY_PUBLIC_URL": "https://gate.example/mcp"},
    ],
    ids=str,
)
def test_wrong_options_are_refused_without_showing_them(wrong):
    with pytest.raises(ValidationError) as caught:
        PROVIDER.bind(wrong)
    assert "s3cr3t" not in str(caught.value)


ISSUER = {"GATEWAY_AUTH_ISSUER": "https://login.example", "GATEWAY_AUTH_AUDIENCE": "https://gate.example/mcp"}


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"GATEWAY_AUTH_AUDIENCE": ""}, "GATEWAY_AUTH_AUDIENCE"),
        ({"GATEWAY_AUTH_ISSUER": "http://login.example"}, "must be https"),
        ({"GATEWAY_AUTH_ISSUER": "ftp://login.example"}, "GATEWAY_AUTH_ISSUER"),
        ({"GATEWAY_AUTH_AUDIENCE": "api://gate"}, "GATEWAY_PUBLIC_URL"),
    ],
    ids=str,
)
def test_an_authorization_server_without_what_tokens_are_checked_against_is_refused(changes, said):
    with pytest.raises(ValidationError, match=said):
        PROVIDER.bind({**ISSUER, **changes})


def test_an_audience_that_is_no_url_goes_with_the_public_url():
    source = {**ISSUER, "GATEWAY_AUTH_AUDIENCE": "api://gate", "GATEWAY_PUBLIC_URL": "https://gate.example/mcp"}
    assert PROVIDER.options.model_validate(source).resource == "https://gate.example/mcp"


@pytest.mark.parametrize("host, taken", [("::1", "::1"), ("[::1]", "::1"), ("my_host", "my_host"), ("a-b.c", "a-b.c")])
def test_addresses_may_be_written_as_in_a_url(host, taken):
    options = PROVIDER.options.model_validate({"GATEWAY_HOST": host, "GATEWAY_ALLOWED_HOSTS": host})
    assert (options.host, options.allowed_hosts) == (taken, (taken,))


def test_by_default_it_listens_everywhere_with_the_gate_shut():
    options = PROVIDER.options.model_validate({})
    assert (options.host, options.port, options.token, options.cors_origins) == ("127.0.0.1", 8080, None, ())
