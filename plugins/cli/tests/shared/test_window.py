"""A window between a client and gateways that the test plays."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import threading
import time

import pytest
from mcp_gateway_cli.shared.errors import WindowError
from mcp_gateway_cli.shared.gateway import _lock, connect_gateway
from mcp_gateway_cli.shared.places import Places
from mcp_gateway_cli.shared.window import Window

SECONDS = 30
CALL = b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{}}\n'
RESULT = b'{"jsonrpc":"2.0","id":%d,"result":{}}\n'


class Client:
    """The other ends of a window's pipes, and of the gateways that it connects to."""

    def __init__(self):
        self.reading, self.to_window = os.pipe()
        self.from_window, self.writing = os.pipe()
        self.output = os.fdopen(self.from_window, "rb")
        self.gateways = []
        self.refusal = None
        self.connected = threading.Semaphore(0)

    def connect(self):
        if isinstance(self.refusal, OSError):
            raise self.refusal
        if self.refusal is not None:
            raise WindowError(self.refusal)
        theirs, ours = socket.socketpair()
        ours.settimeout(SECONDS)
        self.gateways.append(ours)
        self.connected.release()
        return theirs

    def write(self, data):
        os.write(self.to_window, data)

    def read(self):
        return json.loads(self.output.readline())

    def leave(self):
        os.close(self.to_window)

    def close(self):
        self.output.close()
        for descriptor in (self.reading, self.writing):
            os.close(descriptor)
        for gateway in self.gateways:
            gateway.close()


@pytest.fixture
def client():
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    client = Client()
    yield client
    client.close()
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def run_beside(client, act, grace=1.5):
    """Run a window in this thread, as signals want it, and what the others do in another."""
    failures = []

    def run():
        try:
            assert client.connected.acquire(timeout=SECONDS)
            act()
        except BaseException as error:
            failures.append(error)
            client.leave()

    thread = threading.Thread(target=run)
    thread.start()
    code = Window(client.connect, grace, client.reading, client.writing).run()
    thread.join(SECONDS)
    assert failures == []
    return code


def test_bytes_go_both_ways_and_what_is_under_way_at_the_end_is_answered(client):
    def act():
        client.write(CALL % 1 + CALL % 2)
        (gateway,) = client.gateways
        lines = gateway.makefile("rb")
        assert [lines.readline(), lines.readline()] == [CALL % 1, CALL % 2]
        gateway.sendall(RESULT % 2)
        assert client.read()["id"] == 2
        client.leave()
        assert lines.readline() == b""
        gateway.sendall(RESULT % 1)
        gateway.close()
        assert client.read()["id"] == 1

    assert run_beside(client, act) == 0


def test_while_there_is_no_next_gateway_requests_are_answered_with_the_reason(client):
    def act():
        client.write(CALL % 1)
        assert client.gateways[0].recv(1000) == CALL % 1
        client.refusal = "there is none today"
        client.gateways[0].close()
        assert "has ended while this request was under way" in client.read()["error"]["message"]
        client.write(CALL % 2)
        assert client.read() == {"jsonrpc": "2.0", "id": 2, "error": {"code": -32000, "message": "there is none today"}}
        client.refusal = None
        client.write(CALL % 3)
        assert client.connected.acquire(timeout=SECONDS)
        assert client.gateways[1].recv(1000) == CALL % 3
        client.gateways[1].sendall(RESULT % 3)
        assert client.read()["id"] == 3
        client.leave()
        client.gateways[1].close()

    assert run_beside(client, act) == 0


def test_a_signal_ends_a_window_whose_call_never_ends(client):
    def act():
        client.write(CALL % 1)
        assert client.gateways[0].recv(1000) == CALL % 1
        signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)

    assert run_beside(client, act, grace=3600) == 0


def test_a_client_that_reads_no_more_ends_the_window(client):
    def act():
        client.output.close()
        client.gateways[0].sendall(RESULT % 1)

    assert run_beside(client, act) == 0


@pytest.mark.parametrize(
    "refusal, reason",
    [
        ("there is none today", "there is none today"),
        (OSError(errno.EAGAIN, "no more processes"), "cannot be started: .*no more processes"),
    ],
)
def test_without_a_first_gateway_a_window_says_so_and_ends(client, refusal, reason):
    client.refusal = refusal
    with pytest.raises(WindowError, match=reason):
        Window(client.connect, 1.5, client.reading, client.writing).run()


@pytest.mark.parametrize(
    "greeting, reason",
    [
        (b'{"shared": 1, "refused": "it is full"}\n', "refuses: it is full"),
        (b"220 mail.example\n", "no gateway of this version"),
        (b'{"shared": 2}\n', "no gateway of this version"),
        (b"x" * 5000, "no gateway of this version"),
    ],
)
def test_what_listens_in_the_place_of_a_gateway_is_no_gateway(tmp_path, monkeypatch, greeting, reason):
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    places = Places(tmp_path / "s", tmp_path / "lock", tmp_path / "log")

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        listener.listen()

        def greet():
            accepted, _ = listener.accept()
            with accepted:
                accepted.sendall(greeting)

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(WindowError, match=reason):
            connect_gateway(Places(places.socket.relative_to(tmp_path), places.lock, places.log), {})
        thread.join(SECONDS)


def test_a_gateway_that_fails_to_start_is_quoted(tmp_path):
    places = Places(tmp_path / "s", tmp_path / "lock", tmp_path / "logs" / "log")
    with pytest.raises(WindowError, match=r"ended as it started, with exit code 1: .*GATEWAY_PLUGINS"):
        connect_gateway(places, {**os.environ, "GATEWAY_PLUGINS": ","})
    assert places.log.stat().st_mode & 0o777 == 0o600
    assert not places.lock.exists()


def test_one_at_a_time_starts_a_gateway_and_the_lock_leaves_no_file(tmp_path):
    path, inside, most = tmp_path / "lock", [], []

    def hold():
        for _ in range(5):
            with _lock(path, time.monotonic() + SECONDS):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert most == [1] * 20
    assert not path.exists()


def test_a_lock_that_is_never_released_is_said(tmp_path):
    path = tmp_path / "lock"
    with (
        _lock(path, time.monotonic() + SECONDS),
        pytest.raises(WindowError, match="another window holds"),
        _lock(path, time.monotonic() + 0.1),
    ):
        pass


def test_nothing_is_imported_from_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "mcp_gateway").mkdir()
    (tmp_path / "mcp_gateway" / "__init__.py").write_text("raise SystemExit('of the folder')")
    monkeypatch.chdir(tmp_path)
    places = Places(tmp_path / "s", tmp_path / "lock", tmp_path / "logs" / "log")
    with pytest.raises(WindowError, match="GATEWAY_PLUGINS"):
        connect_gateway(places, {**os.environ, "GATEWAY_PLUGINS": ","})
