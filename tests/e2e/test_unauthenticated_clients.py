"""What somebody without the token can take of the gateway's memory and time, and who offers to upgrade."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from .support.gateways import GATEWAY, HttpGateway, Launcher
from .support.raw_clients import Json

TOKEN = "the-gateways-own-token"
ACCEPT = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
START = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
START += b"Accept: application/json, text/event-stream\r\n"
INITIALIZE: Json = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}},
}
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


JAVA = """
import java.net.URI;
import java.net.http.*;
public class Upgrade {
    public static void main(String[] a) throws Exception {
        var client = HttpClient.newHttpClient();
        for (int i = 0; i < 3; i++) {
            var request = HttpRequest.newBuilder(URI.create(a[0])).header("Content-Type", "application/json")
                .header("Accept", "application/json, text/event-stream").header("Authorization", "Bearer " + a[1])
                .POST(HttpRequest.BodyPublishers.ofString(a[2])).build();
            System.out.println(client.send(request, HttpResponse.BodyHandlers.ofString()).statusCode());
        }
    }
}
"""


class GuardedGateway:
    """A gateway with a token, and connections to it without one."""

    def __init__(self, gateway: HttpGateway, stack: ExitStack) -> None:
        self.gateway, self._stack = gateway, stack

    def memory(self) -> int:
        """Return how many bytes of memory the gateway has now."""
        for line in Path(f"/proc/{self.gateway.popen.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) << 10
        raise AssertionError("it has ended")

    def connect(self) -> socket.socket:
        where = urlsplit(self.gateway.url)
        connection = self._stack.enter_context(socket.create_connection((where.hostname, where.port), 5))
        connection.settimeout(2)
        return connection

    def serves(self) -> bool:
        """Whether somebody with the token is served now."""
        headers = {**ACCEPT, "authorization": f"Bearer {TOKEN}"}
        return httpx2.post(self.gateway.url, json=INITIALIZE, headers=headers, timeout=30).status_code == 200


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedGateway]:
    with ExitStack() as stack:
        launcher = Launcher(tmp_path_factory.mktemp("guarded"), stack)
        guarded = GuardedGateway(launcher.start_http(launcher.config(), GATEWAY_AUTH_TOKEN=TOKEN), stack)
        assert guarded.serves()
        yield guarded


linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is read as Linux shows it")


def pour(connection: socket.socket, piece: bytes, max_bytes: int = 100 << 20) -> int:
    """Send until nobody takes any more; return how much that was."""
    sent = 0
    with suppress(OSError):
        while sent < max_bytes:
            sent += connection.send(piece)
    return sent


@linux
@pytest.mark.parametrize("piece", [b"a" * 65536, b"x: y\r\n" * 10_000], ids=["one", "many"])
def test_headers_without_an_end_take_no_memory(guarded: GuardedGateway, piece: bytes) -> None:
    before = guarded.memory()
    for _ in range(10):
        connection = guarded.connect()
        connection.sendall(START + b"X: ")
        assert pour(connection, piece) < 30 << 20
        assert guarded.serves()
    assert guarded.memory() - before < 16 << 20


@linux
def test_bodies_without_the_token_take_no_memory(guarded: GuardedGateway) -> None:
    before = guarded.memory()
    connections = [guarded.connect() for _ in range(50)]
    for connection in connections:
        connection.sendall(START + b"Content-Length: 4000000\r\n\r\n")
    for connection in connections:
        pour(connection, b" " * 100_000, 3_900_000)
    assert guarded.serves()
    assert guarded.memory() - before < 32 << 20


@linux
@pytest.mark.parametrize("more", ["", f"Authorization: Bearer {TOKEN}\r\n"], ids=["stranger", "known"])
def test_requests_whose_answers_nobody_reads_take_no_memory(guarded: GuardedGateway, more: str) -> None:
    before = guarded.memory()
    request = START + more.encode() + b"Content-Length: %d\r\n\r\n%b" % (len(PING), PING)
    assert pour(guarded.connect(), request * 200, 400 << 20) < 100 << 20
    assert guarded.serves()
    assert guarded.memory() - before < 32 << 20


@linux
def test_more_connections_than_files_may_be_open_shut_nobody_out(tmp_path: Path) -> None:
    with ExitStack() as stack:
        launcher = Launcher(tmp_path, stack)
        variables = {"GATEWAY_TRANSPORT": "http", "GATEWAY_PORT": "0", "GATEWAY_HOST": "127.0.0.1"}
        environment = launcher.environment(launcher.config(), **variables, GATEWAY_AUTH_TOKEN=TOKEN)
        process = launcher.start(["sh", "-c", 'ulimit -n 256 && exec "$0"', GATEWAY], environment)
        ready = process.wait_for("ready")
        guarded = GuardedGateway(HttpGateway(process.popen, process.errors, ready["where"]), stack)
        for _ in range(4):
            for _ in range(100):
                guarded.connect()
            assert guarded.serves()
            assert len(list(Path(f"/proc/{process.popen.pid}/fd").iterdir())) < 256
        assert not any("resource" in line or "Too many open files" in line for line in process.errors.seen)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_curl_that_offers_http_2_is_answered(guarded: GuardedGateway) -> None:
    headers = {**ACCEPT, "authorization": f"Bearer {TOKEN}"}
    options = [argument for name, value in headers.items() for argument in ("-H", f"{name}: {value}")]
    command = ["curl", "-s", "-i", "--http2", "-m", "20", *options, "-d", json.dumps(INITIALIZE), guarded.gateway.url]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert answer.startswith("HTTP/1.1 200 ")
    assert '"protocolVersion":"2025-11-25"' in answer


@pytest.mark.skipif(shutil.which("javac") is None, reason="there is no Java to compile with")
def test_javas_client_that_offers_http_2_is_answered(guarded: GuardedGateway, tmp_path: Path) -> None:
    source = tmp_path / "Upgrade.java"
    source.write_text(JAVA, encoding="utf-8")
    command = ["java", str(source), guarded.gateway.url, TOKEN, json.dumps(INITIALIZE)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    assert answer.split() == ["200"] * 3
