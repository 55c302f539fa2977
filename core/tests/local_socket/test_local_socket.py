"""The local socket: who gets in, what is told, and what somebody who gets in cannot do."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from contextlib import asynccontextmanager

import anyio
import pytest

from mcp_gateway.control.gateways import running as asking
from mcp_gateway.control.gateways.running import GatewayGone, Refusal, choose_running, find_running, open_running_client
from mcp_gateway.local_socket import folder as places
from mcp_gateway.local_socket import framing, listener
from mcp_gateway.local_socket.folder import Endpoint, UnsafeFolder, check_folder, list_endpoints, open_folder
from mcp_gateway.local_socket.listener import open_local_socket
from mcp_gateway.local_socket.methods import Methods, Serving
from mcp_gateway.local_socket.stream import LocalStream
from mcp_gateway.plugin import ConfigError
from mcp_gateway.runtime.log_buffer import BUFFER, MAX_CHARACTERS, MAX_LINES, LogBuffer

from ..support.fake_servers import Remote, text, tool, until


@pytest.fixture(autouse=True)
def runtime(monkeypatch):
    # Not below tmp_path: the path of a Unix socket is short.
    import tempfile

    with tempfile.TemporaryDirectory(prefix="run-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield folder


@pytest.fixture
def listening(gateway, tmp_path):
    @asynccontextmanager
    async def open_listening(mode="auto", **remotes):
        async with gateway(remotes or {"alpha": Remote(tool("echo"))}) as opened:
            serving = Serving("stdio", tmp_path / "servers.json", "standard input and output")
            methods = Methods(opened.gateway, opened.lazy_server, serving)
            async with open_local_socket(methods, mode):
                yield opened

    return open_listening


@pytest.mark.parametrize("mode", ["auto", "loopback"])
async def test_a_gateway_describes_itself(listening, tmp_path, mode):
    async with listening(mode) as opened:
        await until(lambda: not opened.gateway.discovery.running)
        (endpoint,) = await find_running()
        assert (endpoint.pid, endpoint.port is None) == (os.getpid(), mode == "auto")
        async with open_running_client(endpoint) as client:
            status = await client.ask("status")
    assert (status["pid"], status["transport"]) == (os.getpid(), "stdio")
    assert status["config"] == str(tmp_path / "servers.json")
    assert [(item["name"], item["state"], item["tools"]) for item in status["servers"]] == [("alpha", "ready", 1)]
    assert status["calls"] == {"running": 0, "admitted": 0, "failed": 0}
    assert status["memory_bytes"] > 1_000_000
    assert list(list_endpoints()) == []


@pytest.mark.parametrize("mode", ["auto", "loopback"])
async def test_only_this_user_can_read_what_is_left_in_the_folder(listening, mode):
    async with listening(mode):
        (endpoint,) = list_endpoints()
        assert stat.S_IMODE(endpoint.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(endpoint.path.parent.stat().st_mode) == 0o700


async def test_a_request_goes_the_way_of_all_and_is_counted(listening):
    alpha = Remote(tool("echo"), tool("fail"))
    alpha.answers["echo"] = text("hello")
    alpha.answers["fail"] = {**text("no"), "isError": True}
    async with listening(alpha=alpha) as opened:
        await until(lambda: not opened.gateway.discovery.running)
        (endpoint,) = await find_running()
        async with open_running_client(endpoint) as client:
            call = {"method": "tools/call", "params": {"name": "alpha__echo", "arguments": {"n": 1}}}
            result = await client.ask("request", call)
            assert result["content"][0]["text"] == "hello"
            assert alpha.calls[-1]["arguments"] == {"n": 1}
            found = await client.ask(
                "request", {"method": "tools/call", "params": {"name": "tool_search", "arguments": {"query": "echo"}}}
            )
            assert found["structuredContent"]["success"]
            await client.ask("request", {"method": "tools/call", "params": {"name": "alpha__fail"}})
            with pytest.raises(Refusal, match="Unknown tool"):
                await client.ask("request", {"method": "tools/call", "params": {"name": "alpha__nope"}})
            with pytest.raises(Refusal, match="cannot be asked by the local socket"):
                await client.ask("request", {"method": "initialize"})
            with pytest.raises(Refusal, match="does not know 'shutdown'"):
                await client.ask("shutdown")
            calls = (await client.ask("status"))["calls"]
    assert (calls["admitted"], calls["failed"]) == (2, 2)


async def test_a_server_that_wants_the_callers_own_credentials_gets_nobodys(listening, gateway, tmp_path):
    remote = Remote(tool("diary"), credentials=True)
    remote.carries_credentials = True
    async with gateway({"own": remote}, own={"auth_type": "forward"}) as opened:
        methods = Methods(opened.gateway, opened.lazy_server, Serving("http", tmp_path))
        async with open_local_socket(methods, "auto"):
            (endpoint,) = await find_running()
            async with open_running_client(endpoint) as client:
                call = {"method": "tools/call", "params": {"name": "own__diary"}}
                answer = await client.ask("request", call)
    assert "wants the caller's own Authorization header" in json.dumps(answer)
    assert not remote.calls


async def test_log_lines_are_sent_and_followed(listening):
    async with listening():
        BUFFER.add("alpha", '{"event": "one", "server": "alpha"}')
        BUFFER.add("beta", '{"event": "two", "server": "beta"}')
        (endpoint,) = await find_running()
        async with open_running_client(endpoint) as client, anyio.create_task_group() as tasks:
            lines = []
            await client.ask("logs", {"server": "alpha"}, lines.append)
            assert [line["text"] for line in lines][-1:] == ['{"event": "one", "server": "alpha"}']
            assert {line["server"] for line in lines} == {"alpha"}
            lines.clear()
            tasks.start_soon(client.ask, "logs", {"server": "beta", "follow": True}, lines.append)
            await until(lambda: lines)
            BUFFER.add("beta", '{"event": "three", "server": "beta"}')
            await until(lambda: lines[-1]["text"].startswith('{"event": "three"'))
            tasks.cancel_scope.cancel()


def test_what_is_kept_of_the_log_is_bounded():
    buffer = LogBuffer()
    for number in range(MAX_LINES + 10):
        buffer.add("", "x" * 10_000 if number % 2 else str(number))
    lines = list(buffer.lines())
    assert len(lines) == MAX_LINES
    assert max(len(line.text) for line in lines) == MAX_CHARACTERS
    assert [line.number for line in buffer.lines(after=lines[-2].number)] == [lines[-1].number]


# -- who does not get in, and what is not done for those who do


async def connect(endpoint):
    return LocalStream(*await asyncio.open_unix_connection(endpoint.path))


async def say(endpoint, data):
    """Send bytes; return all that comes until the connection ends."""
    async with await connect(endpoint) as stream:
        await stream.send(data)
        return await read_all(stream)


async def read_all(stream):
    """Return all that comes until the connection ends."""
    answer = b""
    try:
        while True:
            answer += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return answer


@pytest.mark.parametrize(
    "data, reason",
    [
        (b'{"id": 1, "method": "status"}\n', "after a hello"),
        (b'{"id": 1, "method": "hello", "params": {"version": 2}}\n', "speaks version 1"),
        (b'{"id": 1, "method": "hello", "params": []}\n', "speaks version 1"),
        (b"GET / HTTP/1.1\r\n\r\n", "no JSON"),
        (b"[]\n", "no JSON object"),
        (b"[" * 5000 + b"\n", "no JSON"),
        (b"\xff\n", "no JSON"),
        (b"x" * 5000, "more than 4000 bytes"),
    ],
)
async def test_what_is_no_greeting_is_refused_in_a_sentence(listening, monkeypatch, data, reason):
    monkeypatch.setattr(listener, "MAX_REQUEST", 4000)
    async with listening():
        (endpoint,) = list_endpoints()
        assert reason in (await say(endpoint, data)).decode()
        assert await find_running() == [endpoint]


async def test_a_wrong_key_is_refused(listening):
    async with listening("loopback"):
        (endpoint,) = list_endpoints()
        for key in ("", "wrong", endpoint.key[:-1]):
            wrong = Endpoint(endpoint.pid, endpoint.path, endpoint.port, key)
            with pytest.raises(Refusal, match="the key is wrong"):
                async with open_running_client(wrong):
                    pass


async def test_another_users_connection_is_closed(listening, monkeypatch):
    monkeypatch.setattr(LocalStream, "is_own_user", lambda _: False)
    async with listening():
        (endpoint,) = list_endpoints()
        assert await say(endpoint, b'{"id": 1, "method": "hello", "params": {"version": 1}}\n') == b""


async def test_connections_are_bounded_and_those_that_say_nothing_end(listening, monkeypatch):
    monkeypatch.setattr(listener, "MAX_CONNECTIONS", 3)
    monkeypatch.setattr(listener, "IDLE_SECONDS", 0.2)
    async with listening():
        (endpoint,) = list_endpoints()
        streams = [await connect(endpoint) for _ in range(4)]
        for stream in streams:  # all end: the last at once, the others when they have been silent for too long
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await stream.receive()
            await stream.aclose()
        assert await find_running() == [endpoint]


async def test_whoever_reads_nothing_is_left(listening, monkeypatch):
    monkeypatch.setattr(listener, "WRITE_SECONDS", 0.2)
    for _ in range(MAX_LINES):
        BUFFER.add("alpha", "x" * MAX_CHARACTERS)
    async with listening():
        (endpoint,) = list_endpoints()
        async with await connect(endpoint) as stream:
            await stream.send(framing.encode_message({"id": 1, "method": "hello", "params": {"version": 1}}))
            await stream.send(framing.encode_message({"id": 2, "method": "logs"}))
            await anyio.sleep(0.6)  # more than it may take no answer
            with anyio.fail_after(20):
                answer = await read_all(stream)
        assert len(answer) < MAX_LINES * MAX_CHARACTERS
        assert await find_running() == [endpoint]


# -- the folder


def test_a_folder_of_others_is_not_used(runtime, monkeypatch):
    folder = open_folder()
    check_folder(folder)
    folder.chmod(0o755)
    with pytest.raises(UnsafeFolder, match="others may use"):
        open_folder()
    folder.chmod(0o700)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(UnsafeFolder, match="belongs to another user"):
        open_folder()


def test_a_link_in_the_place_of_the_folder_is_not_followed(runtime, tmp_path):
    places.runtime_folder().symlink_to(tmp_path)
    with pytest.raises(UnsafeFolder, match="is no folder"):
        open_folder()


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """Have the runtime folder in one that all may write to; platformdirs names none such."""
    tmp_path.chmod(0o777)
    monkeypatch.setattr(places, "runtime_folder", lambda: tmp_path / "gateways")


@pytest.mark.usefixtures("shared")
def test_a_folder_in_which_others_may_write_is_not_used():
    with pytest.raises(UnsafeFolder, match="others may use"):
        open_folder()


@pytest.mark.usefixtures("shared")
async def test_without_a_safe_folder_the_gateway_serves_all_the_same(listening):
    async with listening() as opened:
        assert opened.gateway.registry.specs
        assert await find_running() == []


async def test_a_path_that_is_too_long_becomes_a_port(listening, tmp_path, monkeypatch):
    long = tmp_path / ("x" * 90)
    long.mkdir(mode=0o700)
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    async with listening():
        (endpoint,) = await find_running()
        assert endpoint.port is not None


async def test_switched_off_there_is_nothing(listening):
    async with listening("off"):
        assert await find_running() == []


async def test_what_a_killed_gateway_left_is_removed(monkeypatch):
    folder = open_folder()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(folder / "4194305.sock"))  # larger than any process number
    (folder / "4194306.json").write_text('{"port": 1, "key": "k"}')
    (folder / "4194307.json").write_text("no JSON")
    (folder / "readme").write_text("")
    assert {endpoint.pid for endpoint in list_endpoints()} == {4194305, 4194306}
    assert await find_running() == []
    assert list(list_endpoints()) == []
    alive = folder / f"{os.getpid()}.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(alive))
    assert await find_running() == []
    assert alive.exists()  # its process lives: it may only just begin to listen


async def test_one_is_chosen_or_the_error_says_how(listening, monkeypatch):
    with pytest.raises(ConfigError, match="no gateway of yours is running; your client starts one"):
        await choose_running(None)
    async with listening():
        (endpoint,) = await find_running()
        assert await choose_running(None) == endpoint
        assert await choose_running(os.getpid()) == endpoint
        with pytest.raises(ConfigError, match=f"runs with process 1; running: {os.getpid()}"):
            await choose_running(1)

        async def several():
            return [endpoint, Endpoint(2, endpoint.path)]

        monkeypatch.setattr(asking, "find_running", several)
        with pytest.raises(ConfigError, match="choose one with --gateway PID"):
            await choose_running(None)


async def test_a_gateway_that_ends_while_it_is_asked_is_gone(listening):
    async with listening(), anyio.create_task_group() as tasks:
        (endpoint,) = await find_running()
        async with open_running_client(endpoint) as client:
            await client._stream.aclose()
            with pytest.raises(GatewayGone, match="is gone"):
                await client.ask("status")
        tasks.cancel_scope.cancel()
