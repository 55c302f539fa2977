"""The local socket: who gets in, what is told, and what somebody who gets in cannot do."""

from __future__ import annotations

import json
import os
import socket
import stat

import anyio
import pytest

from mcp_gateway.control.gateways.client import Refusal, open_running_client
from mcp_gateway.local_socket import folder as places
from mcp_gateway.local_socket.folder import UnsafeFolder, check_folder, list_endpoints, open_folder
from mcp_gateway.local_socket.listener import open_local_socket
from mcp_gateway.local_socket.methods import Methods, Serving
from mcp_gateway.plugin.utilities.peers import find_peer_user
from mcp_gateway.runtime.log_buffer import BUFFER

from ..support.fake_servers import Remote, text, tool, until
from ..support.local_socket import connect, find_running, hello, read_all, say


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


async def test_a_gateway_says_why_it_has_no_other_servers(listening):
    async with listening() as opened:
        (endpoint,) = await find_running()
        async with open_running_client(endpoint) as client:
            assert (await client.ask("status"))["notices"] == []
            opened.gateway.registry.notices = ("the folder is not trusted",)
            opened.gateway.registry.config_problem = "servers.json: line 2: no"
            assert (await client.ask("status"))["notices"] == [
                "the folder is not trusted",
                "the servers are those of before, since the file as it is now cannot be used: servers.json: line 2: no",
            ]


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

            def on_line(method, params):
                assert method == "line"
                lines.append(params)

            await client.ask("logs", {"server": "alpha"}, on_line)
            assert [line["text"] for line in lines][-1:] == ['{"event": "one", "server": "alpha"}']
            assert {line["server"] for line in lines} == {"alpha"}
            lines.clear()
            tasks.start_soon(client.ask, "logs", {"server": "beta", "follow": True}, on_line)
            await until(lambda: lines)
            BUFFER.add("beta", '{"event": "three", "server": "beta"}')
            await until(lambda: lines[-1]["text"].startswith('{"event": "three"'))
            tasks.cancel_scope.cancel()


# -- who does not get in, and what is not done for those who do


@pytest.mark.parametrize(
    "data, reason",
    [
        (b'{"id": 1, "method": "status"}\n', "after a hello: restart that gateway"),
        (b'{"id": 1, "method": "hello", "params": {"version": 1}}\n', "speaks version 2 of the local socket"),
        (b'{"id": 1, "method": "hello", "params": []}\n', "speaks version 2"),
        (b"GET / HTTP/1.1\r\n\r\n", "no JSON"),
        (b"[]\n", "no JSON object"),
        (b"[" * 4000 + b"\n", "no JSON"),
        (b"\xff\n", "no JSON"),
        (b"x" * 5000, "more than 4096 bytes"),
    ],
)
async def test_what_is_no_greeting_is_refused_in_a_sentence(listening, data, reason):
    async with listening():
        (endpoint,) = list_endpoints()
        assert reason in (await say(endpoint, data)).decode()
        assert await find_running() == [endpoint]


OURS = os.getuid()


@pytest.mark.parametrize("user, enters", [(OURS, True), (0, True), (None, True), (OURS + 1, False), (65534, False)])
async def test_another_users_connection_is_closed(listening, monkeypatch, user, enters):
    async with listening():
        (endpoint,) = list_endpoints()
        async with await connect(endpoint) as stream:
            with monkeypatch.context() as peer:
                peer.setattr("mcp_gateway.plugin.utilities.peers.find_peer_user", lambda _: user)
                if enters:
                    assert "result" in await hello(stream)
                else:
                    assert await read_all(stream) == b""


@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="the system does not tell")
async def test_the_system_tells_whose_connection_it_is():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert find_peer_user(theirs) == OURS
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as peer:
        assert find_peer_user(peer) is None


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


@pytest.mark.parametrize("mode", ["auto", "loopback"])
async def test_a_gateway_that_ends_at_once_leaves_nothing(gateway, tmp_path, mode):
    async with gateway({"alpha": Remote(tool("echo"))}) as opened:
        methods = Methods(opened.gateway, opened.lazy_server, Serving("http", tmp_path))
        with anyio.CancelScope() as ending:
            ending.cancel()
            async with open_local_socket(methods, mode):
                await anyio.sleep_forever()
        assert list(open_folder().iterdir()) == []
