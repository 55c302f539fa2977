"""The gateway that windows share: where it listens, whom it serves, when it ends."""

from __future__ import annotations

import json
import os
import socket
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp_gateway_transport_stdio.shared import transport
from mcp_gateway_transport_stdio.shared.listener import open_listener
from mcp_gateway_transport_stdio.shared.log_file import cut_log
from mcp_gateway_transport_stdio.shared.options import SharedOptions
from mcp_gateway_transport_stdio.shared.transport import SharedServerTransport

from mcp_gateway.plugin import ConfigError
from mcp_gateway_testkit.reference import reference_server

SECONDS = 30
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n'


@pytest.fixture
def path():
    with TemporaryDirectory(prefix="run-") as folder:
        yield Path(folder, "shared.sock")


def bind(path, **variables):
    return SharedOptions.model_validate({"GATEWAY_SHARED_SOCKET": str(path), **variables})


@asynccontextmanager
async def serving(path, **variables):
    """Serve beside the test; yield the event of its end."""
    ready, over = anyio.Event(), anyio.Event()

    async def serve():
        await SharedServerTransport(bind(path, **variables)).serve(reference_server(), ready=lambda _: ready.set())
        over.set()

    with anyio.fail_after(SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve)
            await ready.wait()
            yield over
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def open_window(path):
    async with await anyio.connect_unix(path) as stream:
        yield stream, BufferedByteReceiveStream(stream)


async def read(lines):
    return json.loads(await lines.receive_until(b"\n", 10_000))


async def test_it_ends_after_its_last_window_and_frees_its_place(path):
    async with serving(path, GATEWAY_SHARED_IDLE="0") as over:
        async with open_window(path) as (_, first), open_window(path) as (stream, second):
            assert await read(first) == {"shared": 1, "pid": os.getpid()}
            await read(second)
            await stream.send_eof()
            with pytest.raises(anyio.IncompleteRead):
                await read(second)
            assert not over.is_set()
        await over.wait()
        assert not path.exists()


async def test_without_any_window_it_ends_too_but_waits_for_the_one_that_has_started_it(path, monkeypatch):
    monkeypatch.setattr(transport, "_FIRST_SECONDS", 0.2)
    async with serving(path, GATEWAY_SHARED_IDLE="0") as over:
        assert path.exists()
        await over.wait()


async def test_one_window_too_many_hears_why_and_the_others_stay(path):
    async with serving(path, GATEWAY_SHARED_WINDOWS="1"), open_window(path) as (stream, first):
        await read(first)
        async with open_window(path) as (_, refused):
            assert "GATEWAY_SHARED_WINDOWS" in (await read(refused))["refused"]
            with pytest.raises(anyio.IncompleteRead):
                await read(refused)
        await stream.send(PING)
        assert (await read(first))["id"] == 1


async def test_another_user_gets_nothing(path, monkeypatch):
    async with serving(path), open_window(path) as (_, first):
        await read(first)
        monkeypatch.setattr(os, "getuid", lambda: 12345)
        monkeypatch.setattr("mcp_gateway.plugin.utilities.peers._ROOT", 54321)
        async with open_window(path) as (_, lines):
            with pytest.raises(anyio.IncompleteRead):
                await read(lines)


def test_it_takes_the_place_of_a_killed_gateway(path):
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    assert path.exists()
    with open_listener(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        assert path.stat().st_mode & 0o777 == 0o600


def test_it_leaves_the_socket_of_a_gateway_that_has_followed_it(path):
    with open_listener(path):
        path.unlink()
        Path(path.parent, "other").touch()  # so that the next one has another inode
        with socket.socket(socket.AF_UNIX) as follower:
            follower.bind(str(path))
    assert path.exists()


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o707])
def test_a_folder_that_others_can_use_is_refused(path, mode):
    path.parent.chmod(mode)
    with pytest.raises(ConfigError, match="must be a folder of yours alone"), open_listener(path):
        pass


@pytest.mark.parametrize(
    "place, reason", [(None, "needs GATEWAY_SHARED_SOCKET"), (Path("/nowhere/x.sock"), "No such file")]
)
def test_without_a_place_it_says_what_is_missing(place, reason):
    with pytest.raises(ConfigError, match=reason), open_listener(place):
        pass


def test_a_log_that_is_too_long_begins_anew_and_the_old_one_stays_once(tmp_path):
    path = tmp_path / "shared-x.log"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        for line in (b"first\n", b"second\n"):
            os.write(descriptor, line)
            assert not cut_log(path, descriptor, max_bytes=100)
            assert cut_log(path, descriptor, max_bytes=5)
        os.write(descriptor, b"third\n")
        other = tmp_path / "other.log"
        other.touch()
        assert not cut_log(other, descriptor, max_bytes=0)
    finally:
        os.close(descriptor)
    assert path.read_bytes() == b"third\n"
    old = tmp_path / "shared-x.old.log"
    assert (old.read_bytes(), old.stat().st_mode & 0o777) == (b"second\n", 0o600)
