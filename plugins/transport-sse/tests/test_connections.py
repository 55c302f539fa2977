"""How a server over HTTP+SSE is connected to: TLS, sockets, proxies, and where it is not."""

from __future__ import annotations

import asyncio
import ssl

import anyio
import pytest
import trustme
from mcp_gateway_transport_sse import http_client

from mcp_gateway.plugin import ServerUnavailable, SsrfGuard

from .scripted_server import SECONDS, Server, connected, listening


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def files(tmp_path, authority):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    mine = authority.issue_cert("gateway.test")
    mine.private_key_pem.write_to_path(tmp_path / "key.pem")
    for pem in mine.cert_chain_pems:
        pem.write_to_path(tmp_path / "cert.pem", append=True)
    return tmp_path


def security_of(authority, name="127.0.0.1", *, wants_certificate=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    if wants_certificate:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def test_a_client_certificate_goes_with_the_stream_and_the_messages(authority, files):
    server = Server()
    async with listening(server, ssl=security_of(authority, wants_certificate=True)) as origin:
        entry = {"url": f"{origin}/sse", "ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"}
        async with connected(entry, folder=files) as wire:
            assert (await wire.send())["id"] == 5


@pytest.mark.parametrize(
    "entry, name, words",
    [
        ({}, "127.0.0.1", 'set "ca"'),
        ({"ca": "ca.pem"}, "elsewhere.test", "for another host"),
        ({"ca": "ca.pem"}, "127.0.0.1", '"cert" and "key"'),
    ],
    ids=["unknown authority", "another host", "no client certificate"],
)
async def test_errors_of_tls_name_the_certificate_and_the_setting(authority, files, entry, name, words):
    server = Server()
    security = security_of(authority, name, wants_certificate=True)
    async with listening(server, ssl=security) as origin:
        with pytest.raises(ServerUnavailable) as caught:
            async with connected({"url": f"{origin}/sse?key=s3cr3t", **entry}, folder=files):
                pass
    assert words in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    assert server.heads == []


async def test_a_server_at_a_unix_socket_is_reached_and_its_absence_is_named(tmp_path):
    server = Server()
    listener = await asyncio.start_unix_server(server.serve, tmp_path / "mcp.sock")
    entry = {"url": "http://localhost/sse", "socket": "mcp.sock"}
    with anyio.fail_after(SECONDS):
        async with connected(entry, folder=tmp_path) as wire:
            assert (await wire.send())["id"] == 5
    listener.close()
    with pytest.raises(ServerUnavailable, match=r"nobody listens at its socket .*gone\.sock"):
        async with connected({**entry, "socket": "gone.sock"}, folder=tmp_path):
            pass


async def test_a_proxy_of_the_environment_is_asked(monkeypatch):
    server = Server()
    async with listening(server) as proxy:
        for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, proxy)
        async with connected({"url": "http://server.test/sse"}) as wire:
            assert (await wire.send())["id"] == 5
    assert [head.split(b"\r\n")[0] for head in server.heads] == [
        b"GET http://server.test/sse HTTP/1.1",
        b"POST http://server.test/messages?session_id=1 HTTP/1.1",
    ]


async def test_a_name_that_resolves_to_a_link_local_address_is_not_connected_to(monkeypatch):
    async def resolve(_host):
        return ["127.0.0.1", "169.254.169.254"]

    monkeypatch.setattr(http_client, "SsrfGuard", lambda: SsrfGuard(resolve))
    with anyio.fail_after(SECONDS), pytest.raises(ServerUnavailable, match="link-local"):
        async with connected({"url": "http://innocent.example/sse"}):
            pass


async def test_a_server_that_is_not_there_is_named_without_its_url():
    with anyio.fail_after(SECONDS), pytest.raises(ServerUnavailable, match=r"refuses connections.*\[Errno") as caught:
        async with connected({"url": "http://127.0.0.1:9/sse?key=s3cr3t"}):
            pass
    assert "s3cr3t" not in str(caught.value)
