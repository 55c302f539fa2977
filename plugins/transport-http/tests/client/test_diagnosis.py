"""Why a URL cannot be reached: its name, the connection, the certificate."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from contextlib import ExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from mcp_gateway_transport_http import find_url_faults

from mcp_gateway.plugin import UrlOptions
from mcp_gateway.plugin.server_url import diagnosis


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


async def test_a_certificate_that_is_not_valid_yet_asks_for_the_clock(anyio_backend, authority, ca):
    early = authority.issue_cert("127.0.0.1", not_before=datetime.now(UTC) + timedelta(days=1))
    async with listening(early) as port:
        ((code, message, _),) = await find(f"https://127.0.0.1:{port}/mcp", ca=ca)
    assert (code, "is not valid yet" in message) == ("tls-not-yet-valid", True)


def write_revocation_list(authority, certificate, path):
    """Append the authority's list of revoked certificates, with one in it."""
    revoked = x509.load_pem_x509_certificate(certificate.cert_chain_pems[0].bytes()).serial_number
    now = datetime.now(UTC)
    entry = x509.RevokedCertificateBuilder().serial_number(revoked).revocation_date(now - timedelta(hours=1)).build()
    root = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    builder = x509.CertificateRevocationListBuilder(root.subject, now - timedelta(hours=1), now + timedelta(days=1))
    key = load_pem_private_key(authority.private_key_pem.bytes(), None)
    signed = builder.add_revoked_certificate(entry).sign(key, SHA256())
    path.write_bytes(path.read_bytes() + signed.public_bytes(Encoding.PEM))


async def test_a_certificate_that_is_on_the_revocation_list_beside_the_authority_says_so(anyio_backend, authority, ca):
    revoked, other = authority.issue_cert("127.0.0.1"), authority.issue_cert("127.0.0.1")
    write_revocation_list(authority, revoked, ca)
    async with listening(revoked) as port:
        ((code, message, mend),) = await find(f"https://127.0.0.1:{port}/mcp", ca=ca)
    assert (code, message) == ("tls-revoked", "its certificate has been revoked")
    assert "ask the person who runs the server" in mend
    async with listening(other) as port:
        assert await find(f"https://127.0.0.1:{port}/mcp", ca=ca) == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses")
async def test_a_machine_that_is_silent_is_named_after_some_seconds(anyio_backend, monkeypatch):
    monkeypatch.setattr(diagnosis, "SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as stack:
        address = listener.getsockname()
        for _ in range(3):  # they fill the queue, so that no more are answered
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        ((code, message, mend),) = await find(f"http://127.0.0.1:{address[1]}/mcp")
    assert (code, message) == ("no-answer", f"127.0.0.1:{address[1]} does not answer within 0.3 s")
    assert "firewall" in mend


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
