"""What carries requests: over TLS, over IPv6, by a proxy of the environment."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager

import anyio
import pytest
import trustme
from mcp_gateway_transport_http.client.channel import HttpChannel
from mcp_gateway_transport_http.client.request_target import Endpoint
from mcp_gateway_transport_http.client.session import HttpSession
from mcp_gateway_transport_http.client_transport import HttpClientTransport

from mcp_gateway.plugin import Credentials, RequestNotSent

from .scripted_server import ANSWER, CARRIERS, MESSAGE, Heard, events, response

SECONDS = 20
WITHOUT_LENGTH = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n"


@asynccontextmanager
async def listening(answer, host="127.0.0.1", security=None):
    """Serve one answer to every request; yield the port and the requests."""
    requests = []

    async def serve(reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if b"content-length" in line), 0)
                requests.append(head + await reader.readexactly(length))
                writer.write(answer)
                if b"content-length" not in answer:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, host, 0, ssl=security)
    try:
        with anyio.fail_after(SECONDS):
            yield server.sockets[0].getsockname()[1], requests
    finally:
        server.close()


@asynccontextmanager
async def channel_to(url, carrier, security):
    channel = HttpChannel(HttpSession(Endpoint.of(url), {}), CARRIERS[carrier](lambda: security, None), 1 << 20)
    try:
        yield channel
    finally:
        await channel.aclose()


async def send(channel, message=MESSAGE):
    heard = Heard()
    channel.request(message, 5, {}, heard)
    return await heard.response()


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def contexts(authority, name="127.0.0.1"):
    """Return the contexts of a server with a certificate, and of a client that trusts it."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


@pytest.mark.parametrize("carrier", ["direct", "httpx"])
@pytest.mark.parametrize("answer", [response(ANSWER), events(ANSWER), WITHOUT_LENGTH + ANSWER])
async def test_over_tls_it_is_the_same(authority, carrier, answer):
    server, client = contexts(authority)
    async with (
        listening(answer, security=server) as (port, requests),
        channel_to(f"https://127.0.0.1:{port}/mcp", carrier, client) as channel,
    ):
        assert [await send(channel), await send(channel)] == [ANSWER, ANSWER]
    assert len(requests) == 2


async def test_over_tls_what_is_left_of_a_request_that_was_answered_early_is_no_obstacle_either(authority):
    server, client = contexts(authority)
    over = anyio.Event()
    connections = []

    async def serve(reader, writer):
        connections.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response(ANSWER))
        await over.wait()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server)
    url = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}/mcp"
    async with channel_to(url, "direct", client) as channel:
        with anyio.fail_after(SECONDS):
            assert await send(channel, MESSAGE.replace(b"{}", b'{"a":"%b"}' % (b"x" * (8 << 20)))) == ANSWER
            assert await send(channel) == ANSWER
    over.set()
    listener.close()
    assert len(connections) == 2


@pytest.mark.parametrize("carrier", ["direct", "httpx"])
@pytest.mark.parametrize("trusted, name", [(False, "127.0.0.1"), (True, "elsewhere.test")])
async def test_a_certificate_that_is_not_trusted_or_of_another_gets_nothing(authority, carrier, trusted, name):
    server, client = contexts(authority, name)
    security = client if trusted else ssl.create_default_context()
    async with (
        listening(response(ANSWER), security=server) as (port, requests),
        channel_to(f"https://127.0.0.1:{port}/mcp", carrier, security) as channel,
    ):
        with pytest.raises(RequestNotSent, match=r"(?i)certificate"):
            await send(channel)
    assert requests == []


@pytest.mark.parametrize("carrier", ["direct", "httpx"])
async def test_an_address_may_be_of_ipv6(carrier):
    async with (
        listening(response(ANSWER), host="::1") as (port, requests),
        channel_to(f"http://[::1]:{port}/mcp", carrier, ssl.create_default_context()) as channel,
    ):
        assert await send(channel) == ANSWER
    assert f"host: [::1]:{port}\r\n".encode() in requests[0]


@pytest.mark.parametrize("carrier", ["direct", "httpx"])
async def test_a_name_that_does_not_exist_gets_nothing(carrier):
    with anyio.fail_after(60):
        async with channel_to("http://nowhere.invalid/mcp", carrier, ssl.create_default_context()) as channel:
            with pytest.raises(RequestNotSent):
                await send(channel)


@pytest.mark.parametrize("answer", [response(ANSWER), events(ANSWER)])
async def test_a_proxy_of_the_environment_is_asked_with_the_whole_url(monkeypatch, answer):
    async with listening(answer) as (port, requests):
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        transport = HttpClientTransport("http://me:secret@server.test/mcp?a=b")
        async with transport.connect(Credentials.of({"X-Api-Key": "k"})) as channel:
            channel.start(print, print)
            assert [await send(channel), await send(channel)] == [ANSWER, ANSWER]
    first, *lines = requests[0].split(b"\r\n\r\n")[0].decode().split("\r\n")
    assert first == "POST http://server.test/mcp?a=b HTTP/1.1"
    assert {"host: server.test", "x-api-key: k", "authorization: Basic bWU6c2VjcmV0"} < set(lines)
    assert [line for line in lines if line.lower().startswith(("user-agent", "accept-encoding"))] == [
        "user-agent: mcp-orchestration-gateway",
        "accept-encoding: identity",
    ]


async def test_a_proxy_that_refuses_was_not_passed(monkeypatch):
    refusal = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n"
    async with listening(refusal) as (port, requests):
        for name in ("https_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        async with HttpClientTransport("https://server.test/mcp").connect(Credentials()) as channel:
            with pytest.raises(RequestNotSent, match="the proxy refuses"):
                await send(channel)
    assert requests[0].startswith(b"CONNECT server.test:443 ")
