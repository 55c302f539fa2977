"""Private authorities, client certificates and Unix sockets, with real TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import anyio
import pytest
import trustme
from mcp_gateway_transport_http import client_transport, open_client_transport

from mcp_gateway.plugin import Credentials, RequestNotSent, ServerUnavailable, UrlOptions

from .scripted_server import ANSWER, MESSAGE, Heard, response

SECONDS = 20


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(params=["direct", "httpx"])
def carrier(request, monkeypatch):
    """Reach servers over our own connections, or over those of behind a proxy."""
    monkeypatch.setattr(client_transport, "can_connect_directly", lambda _: request.param == "direct")
    return request.param


@pytest.fixture
def files(tmp_path, authority):
    """Write the files that an entry may name."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    mine = authority.issue_cert("gateway.test")
    mine.private_key_pem.write_to_path(tmp_path / "key.pem")
    for pem in mine.cert_chain_pems:
        pem.write_to_path(tmp_path / "cert.pem", append=True)
    return tmp_path


def security_of(certificate, *, authority=None):
    """Return a server's context; with an authority, clients must have a certificate of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    if authority is not None:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class Serving:
    """A server of blocking sockets, which, unlike asyncio's, sends the alert of a handshake that fails."""

    def __init__(self, listener, security):
        self.requests = []
        self._listener, self._security = listener, security

    def run(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        connection.settimeout(SECONDS)
        if self._security is not None:
            connection = self._security.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with connection, suppress(OSError):
            try:
                if self._security is not None:
                    connection.do_handshake()
            except ssl.SSLError:
                # Unread bytes would turn the end into a reset, which takes the alert along.
                socket.socket.shutdown(connection, socket.SHUT_WR)
                while socket.socket.recv(connection, 1 << 16):
                    pass
                return
            received = b""
            while piece := connection.recv(1 << 16):
                received += piece
                if received.endswith(MESSAGE):
                    self.requests.append(received)
                    received = b""
                    connection.sendall(response(ANSWER))


@asynccontextmanager
async def listening(security=None, path=None):
    """Serve one answer to every request; yield the port and the requests."""
    listener = socket.create_server(("127.0.0.1", 0)) if path is None else socket.socket(socket.AF_UNIX)
    if path is not None:
        listener.bind(str(path))
        listener.listen()
    serving = Serving(listener, security)
    threading.Thread(target=serving.run, daemon=True).start()
    try:
        with anyio.fail_after(SECONDS):
            yield None if path else listener.getsockname()[1], serving.requests
    finally:
        # Only this wakes a thread that waits for connections.
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


async def ask(folder, **entry):
    """Send a request to the server of an entry in a file of this folder."""
    options = UrlOptions.model_validate(entry, context={"folder": folder})
    async with open_client_transport(options) as transport, transport.connect(Credentials()) as channel:
        heard = Heard()
        channel.request(MESSAGE, 5, {}, heard)
        return await heard.response()


async def test_a_private_authority_is_trusted_by_the_entry_that_names_it(authority, files, carrier):
    async with listening(security_of(authority.issue_cert("127.0.0.1"))) as (port, requests):
        url = f"https://127.0.0.1:{port}/mcp"
        assert await ask(files, url=url, ca="ca.pem") == ANSWER
        with pytest.raises(RequestNotSent, match=r'authority that is not trusted here .* set "ca"') as caught:
            await ask(files, url=url)
        assert caught.value.permanent
    assert len(requests) == 1


async def test_the_authority_of_an_entry_takes_the_place_of_all_others(authority, files, carrier):
    async with listening(security_of(trustme.CA().issue_cert("127.0.0.1"))) as (port, requests):
        with pytest.raises(RequestNotSent, match='set "ca"'):
            await ask(files, url=f"https://127.0.0.1:{port}/mcp", ca="ca.pem")
    assert requests == []


async def test_a_client_certificate_opens_a_server_that_wants_one(authority, files, carrier):
    security = security_of(authority.issue_cert("127.0.0.1"), authority=authority)
    async with listening(security) as (port, requests):
        entry = {"url": f"https://127.0.0.1:{port}/mcp", "ca": "ca.pem"}
        assert await ask(files, **entry, cert="cert.pem", key="key.pem") == ANSWER
        (files / "both.pem").write_bytes((files / "key.pem").read_bytes() + (files / "cert.pem").read_bytes())
        assert await ask(files, **entry, cert="both.pem") == ANSWER
    assert len(requests) == 2


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_missing_client_certificate_is_named_with_its_setting(authority, files, carrier, version):
    security = security_of(authority.issue_cert("127.0.0.1"), authority=authority)
    security.minimum_version = security.maximum_version = version
    async with listening(security) as (port, requests):
        with pytest.raises(ServerUnavailable, match=r'client certificate.*"cert" and "key"'):
            await ask(files, url=f"https://127.0.0.1:{port}/mcp", ca="ca.pem")
    assert requests == []


async def test_a_client_certificate_of_an_unknown_authority_is_named(authority, files, carrier):
    security = security_of(authority.issue_cert("127.0.0.1"), authority=trustme.CA())
    async with listening(security) as (port, requests):
        with pytest.raises(ServerUnavailable, match=r'refuses the client certificate \(unknown ca\); check "cert"'):
            await ask(files, url=f"https://127.0.0.1:{port}/mcp", ca="ca.pem", cert="cert.pem", key="key.pem")
    assert requests == []


async def test_an_expired_certificate_and_one_of_another_host_are_told_apart(authority, files, carrier):
    yesterday = datetime.now(UTC) - timedelta(days=1)
    expired = authority.issue_cert("127.0.0.1", not_before=yesterday - timedelta(days=1), not_after=yesterday)
    elsewhere = authority.issue_cert("elsewhere.test")
    for certificate, words in ((expired, "its certificate has expired"), (elsewhere, 'another host .*"url" must')):
        async with listening(security_of(certificate)) as (port, requests):
            with pytest.raises(RequestNotSent, match=words):
                await ask(files, url=f"https://127.0.0.1:{port}/mcp", ca="ca.pem")
        assert requests == []


async def test_https_to_a_server_without_tls_says_so(files, carrier):
    async def refuse(reader, writer):
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    with anyio.fail_after(SECONDS), pytest.raises(RequestNotSent, match="does not speak TLS"):
        await ask(files, url=f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp")
    server.close()


async def test_a_renewed_certificate_is_used_for_the_next_connection(authority, files):
    security = security_of(authority.issue_cert("127.0.0.1"), authority=authority)
    async with listening(security) as (port, requests):
        options = UrlOptions.model_validate(
            {"url": f"https://127.0.0.1:{port}/mcp", "ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"},
            context={"folder": files},
        )
        good = {name: (files / name).read_bytes() for name in ("cert.pem", "key.pem")}
        other = trustme.CA().issue_cert("gateway.test")
        (files / "cert.pem").write_bytes(other.cert_chain_pems[0].bytes())
        (files / "key.pem").write_bytes(other.private_key_pem.bytes())
        async with open_client_transport(options) as transport:

            async def try_once():
                async with transport.connect(Credentials()) as channel:
                    heard = Heard()
                    channel.request(MESSAGE, 5, {}, heard)
                    return await heard.response()

            with pytest.raises(ServerUnavailable, match="refuses the client certificate"):
                await try_once()
            (files / "cert.pem").write_bytes(b"half")
            with pytest.raises(ServerUnavailable, match="refuses the client certificate"):
                await try_once()
            for name, content in good.items():
                (files / name).write_bytes(content)
            assert await try_once() == ANSWER
    assert len(requests) == 1


async def test_a_server_at_a_unix_socket_is_reached(authority, tmp_path, files, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nothing at a socket goes by a proxy
    where = tmp_path / "mcp.sock"
    async with listening(path=where) as (_, requests):
        assert await ask(tmp_path, url="http://localhost/mcp?a=b", socket="mcp.sock") == ANSWER
        assert await ask(tmp_path, url=f"http+unix://{str(where).replace('/', '%2F')}/mcp") == ANSWER
    assert [head.split(b"\r\n")[0] for head in requests] == [b"POST /mcp?a=b HTTP/1.1", b"POST /mcp HTTP/1.1"]
    assert b"\r\nhost: localhost\r\n" in requests[1]
    where.unlink(missing_ok=True)
    with pytest.raises(RequestNotSent, match=r"nobody listens at its socket .*mcp\.sock \(No such file"):
        await ask(tmp_path, url="http://localhost/mcp", socket=str(where))
    async with listening(security_of(authority.issue_cert("inside.test")), where) as (_, requests):
        assert await ask(files, url="https://inside.test/mcp", socket="mcp.sock", ca="ca.pem") == ANSWER
    assert len(requests) == 1


async def test_a_server_that_ends_without_an_alert_may_want_a_certificate(authority, files, carrier):
    # So do servers on asyncio, such as uvicorn.
    security = security_of(authority.issue_cert("127.0.0.1"), authority=authority)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=security)
    with anyio.fail_after(SECONDS), pytest.raises(ServerUnavailable, match=r'client certificate: "cert" and "key"'):
        await ask(files, url=f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp", ca="ca.pem")
    server.close()
