"""Why a URL cannot be reached: its name, the connection, the certificate."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from mcp_gateway_transport_http import find_url_faults

from mcp_gateway.plugin import UrlOptions


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def ca(tmp_path, authority):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


@asynccontextmanager
async def listening(certificate=None):
    """Listen, with TLS if there is a certificate, and answer nothing."""

    async def on_connection(reader, writer):
        with suppress(OSError):
            await reader.read()
        writer.close()

    security = None
    if certificate is not None:
        security = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(security)
    async with await asyncio.start_server(on_connection, "127.0.0.1", 0, ssl=security) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


async def find(url, **options):
    return [(one.code, one.message, one.mend) for one in await find_url_faults(UrlOptions(url=url, **options))]


async def test_a_name_that_leads_nowhere_is_a_matter_of_dns(anyio_backend):
    ((code, message, mend),) = await find("http://no-such-host.invalid/mcp")
    assert code == "dns"
    assert message.startswith("the name 'no-such-host.invalid' leads nowhere")
    assert "DNS" in mend


async def test_where_nothing_listens_the_port_is_named(anyio_backend, closed_port):
    ((code, message, _),) = await find(f"http://127.0.0.1:{closed_port}/mcp")
    assert (code, message) == ("connection-refused", f"nothing listens at 127.0.0.1:{closed_port}")


async def test_a_socket_that_is_missing_is_named(anyio_backend, tmp_path):
    ((code, message, _),) = await find("http://localhost/mcp", socket=tmp_path / "gone.sock")
    assert (code, message) == ("connection-refused", f"{tmp_path / 'gone.sock'}: there is no such socket")


async def test_a_proxy_that_is_down_is_named_without_its_password(anyio_backend, closed_port, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://me:geheim@127.0.0.1:{closed_port}")
    ((code, message, mend),) = await find("http://server.example/mcp")
    assert (code, f"127.0.0.1:{closed_port}, cannot be reached" in message) == ("proxy", True)
    assert "geheim" not in message + mend
    async with listening() as port:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        assert await find("http://server.example/mcp") == []


async def test_an_unknown_authority_leads_to_the_key_ca(anyio_backend, authority):
    async with listening(authority.issue_cert("127.0.0.1")) as port:
        ((code, _, mend),) = await find(f"https://127.0.0.1:{port}/mcp")
    assert (code, 'set "ca" to the file of its certificate' in mend) == ("tls-unknown-authority", True)


async def test_an_expired_certificate_says_so(anyio_backend, authority, ca):
    expired = authority.issue_cert("127.0.0.1", not_after=datetime.now(UTC) - timedelta(days=1))
    async with listening(expired) as port:
        ((code, message, mend),) = await find(f"https://127.0.0.1:{port}/mcp", ca=ca)
    assert (code, "has expired" in message, "renew" in mend) == ("tls-expired", True, True)


async def test_a_certificate_of_another_host_says_so(anyio_backend, authority, ca):
    async with listening(authority.issue_cert("other.example")) as port:
        ((code, message, _),) = await find(f"https://127.0.0.1:{port}/mcp", ca=ca)
    assert (code, "for another host" in message) == ("tls-wrong-host", True)


async def test_https_to_a_port_without_tls_says_so(anyio_backend, ca):
    async def on_connection(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(on_connection, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        ((code, _, mend),) = await find(f"https://127.0.0.1:{port}/mcp", ca=ca)
    assert (code, "http://" in mend) == ("tls-handshake", True)


async def test_what_can_be_reached_is_well(anyio_backend, authority, ca):
    async with listening() as port:
        assert await find(f"http://127.0.0.1:{port}/mcp") == []
    async with listening(authority.issue_cert("127.0.0.1")) as port:
        assert await find(f"https://127.0.0.1:{port}/mcp", ca=ca) == []
