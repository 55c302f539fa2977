"""Which gateways are found, and what is said of those that cannot be asked."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from contextlib import ExitStack, asynccontextmanager, suppress

import anyio
import pytest

from mcp_gateway.control.gateways import client as asking
from mcp_gateway.control.gateways import lookup
from mcp_gateway.control.gateways.client import GatewayGone, UnknownPeer, open_running_client
from mcp_gateway.control.gateways.lookup import choose_running, describe_gateways, find_gateways
from mcp_gateway.control.gateways.tool_names import ask_tool_names
from mcp_gateway.control.report import NothingRuns
from mcp_gateway.local_socket import listener
from mcp_gateway.local_socket.folder import Endpoint, list_endpoints, open_folder
from mcp_gateway.local_socket.messages import MAX_REQUEST, MessageReader
from mcp_gateway.local_socket.methods import Methods
from mcp_gateway.plugin import GatewayError

from ..support.fake_servers import Remote, tool, until
from ..support.local_socket import PARENT, connect, encode, find_running, hello, pretend

WRONG = [
    (lambda _: None, f"process {PARENT} does not answer: it is busy, stopped or hangs; try again"),
    (lambda _: encode(error={"message": "it is of release 9"}), f"{PARENT} refuses the connection: it is of release 9"),
    (lambda _: b"HTTP/1.1 400\r\n", "is none, or of another release: a line is no JSON; if that process is no gateway"),
    (lambda _: b"x" * 10_000, "is none, or of another release: a greeting is short"),
    (lambda _: encode(result=[]), "a line is no answer"),
    (lambda _: encode(error=1), "a line is no answer"),
]


@pytest.mark.parametrize("answer, reason", WRONG, ids=["silent", "refusal", "http", "endless", "list", "number"])
async def test_each_gateway_that_cannot_be_asked_has_its_own_sentence(listening, monkeypatch, answer, reason):
    monkeypatch.setattr(asking, "CONNECT_SECONDS", 0.5)
    async with pretend(answer):
        for pid in (None, PARENT):
            with pytest.raises(GatewayError) as raised:
                await choose_running(pid)
            assert reason in str(raised.value)
        async with listening():
            found = await describe_gateways()
            assert [endpoint.pid for endpoint in found.answers] == [os.getpid()]
            assert len(found.explain()) == 1
            assert (await choose_running(None)).pid == os.getpid()


async def test_a_gateway_that_takes_no_connection_is_waited_for_and_named(monkeypatch):
    monkeypatch.setattr(asking, "CONNECT_SECONDS", 0.5)
    path = open_folder() / f"{PARENT}.sock"
    with ExitStack() as stack:
        stopped, first, second = (stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(3))
        stopped.bind(str(path))
        stopped.listen(0)
        for waiting in (first, second):  # they fill the backlog
            waiting.setblocking(False)
            with suppress(BlockingIOError):
                waiting.connect(str(path))
        with pytest.raises(GatewayError, match=f"process {PARENT} does not answer: it is busy, stopped or hangs"):
            await choose_running(None)
    assert path.exists()


async def test_what_another_user_listens_at_is_not_asked(listening, monkeypatch):
    async with listening():
        (endpoint,) = list_endpoints()
        monkeypatch.setattr("mcp_gateway.plugin.utilities.peers.find_peer_user", lambda _: os.getuid() + 1)
        with pytest.raises(UnknownPeer, match=f"what listens at {endpoint.path} is a process of another user"):
            async with open_running_client(endpoint):
                raise AssertionError


async def test_a_full_gateway_is_named(listening, monkeypatch):
    monkeypatch.setattr(listener, "MAX_CONNECTIONS", 1)
    async with listening():
        (endpoint,) = list_endpoints()
        async with await connect(endpoint) as stream:
            await hello(stream)
            with pytest.raises(GatewayError, match=f"process {os.getpid()} refuses the connection: all 1 connections"):
                await choose_running(None)


@pytest.mark.parametrize("answer, reason", WRONG, ids=["silent", "refusal", "http", "endless", "list", "number"])
async def test_names_of_tools_are_told_in_time_or_not_at_all(listening, answer, reason):
    async with listening(alpha=Remote(tool("echo"), tool("read"))) as opened, pretend(answer):
        await until(lambda: not opened.gateway.discovery.running)
        assert await ask_tool_names(1.0) == ["alpha__echo", "alpha__read"]


async def test_a_gateway_without_a_list_of_names_has_none(listening, monkeypatch):
    async with listening():
        assert await ask_tool_names(0.0) == []

        async def answer(*_):
            return {"tools": 3}

        monkeypatch.setattr(Methods, "answer", answer)
        assert await ask_tool_names(1.0) == []


async def test_a_gateway_that_hangs_over_its_status_is_named(listening, monkeypatch):
    monkeypatch.setattr(lookup, "STATUS_SECONDS", 0.2)

    async def hang(*_):
        await anyio.sleep_forever()

    async with listening():
        monkeypatch.setattr(Methods, "answer", hang)
        with pytest.raises(GatewayError, match=r"has not answered for 0\.2 s"):
            await describe_gateways(os.getpid())
        assert len((await describe_gateways()).unusable) == 1


async def test_one_is_chosen_or_the_error_says_how(listening):
    with pytest.raises(NothingRuns, match="no gateway of yours is running; your client starts one"):
        await choose_running(None)
    for ask in (choose_running, describe_gateways):
        with pytest.raises(NothingRuns, match="no gateway of yours runs with process 1; running: none"):
            await ask(1)
    async with listening():
        (endpoint,) = await find_running()
        assert await choose_running(None) == endpoint
        assert await choose_running(os.getpid()) == endpoint
        for ask in (choose_running, describe_gateways):
            with pytest.raises(NothingRuns, match=f"runs with process 1; running: {os.getpid()}"):
                await ask(1)
        async with pretend(lambda message: encode(id=message["id"], result={})):
            with pytest.raises(NothingRuns, match="choose one with --gateway PID"):
                await choose_running(None)
            assert [one.pid for one in (await describe_gateways(os.getpid())).answers] == [os.getpid()]


async def test_what_a_killed_gateway_left_is_removed():
    folder = open_folder()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(folder / "2147483646.sock"))  # larger than any process number
    (folder / "2147483645.json").write_text(json.dumps({"port": 1, "key": "a" * 64}))
    assert {endpoint.pid for endpoint in list_endpoints()} == {2147483646, 2147483645}
    assert await find_running() == []
    assert list(folder.iterdir()) == []
    alive = folder / f"{PARENT}.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(alive))
    found = await find_gateways()
    assert not found.answers
    assert f"does not listen at {alive}" in found.explain()[0]
    assert alive.exists()  # its process lives: it may only just begin to listen


@pytest.mark.parametrize(
    "name, content",
    [
        ("99999999999999999999.json", '{"port": 1, "key": "KEY"}'),
        ("0.json", '{"port": 1, "key": "KEY"}'),
        ("007.json", '{"port": 1, "key": "KEY"}'),
        ("\u0667.json", '{"port": 1, "key": "KEY"}'),
        ("5.json", '{"port": 70000, "key": "KEY"}'),
        ("5.json", '{"port": 0, "key": "KEY"}'),
        ("5.json", '{"port": 1, "key": "\\ud800"}'),
        ("5.json", '{"port": 1, "key": ""}'),
        ("5.json", '{"port": 1}'),
        ("5.json", "no JSON"),
        ("5.json", "[" * 4000),
        ("5.sock", "no socket"),
        ("99999999999999999999.sock", ""),
        ("readme", ""),
    ],
)
async def test_what_no_gateway_has_written_is_left_alone(name, content):
    path = open_folder() / name
    path.write_text(content.replace("KEY", "a" * 64))
    assert list(list_endpoints()) == []
    assert await find_running() == []
    assert path.exists()


# -- over loopback each side proves that it knows the key


@asynccontextmanager
async def pretend_at_port(key, answer, pid=PARENT):
    """Listen at a port in the place of a gateway; yield its address, and what clients have sent."""
    came = []

    async def handle(reader, writer):
        while line := await reader.readline():
            came.append(json.loads(line))
            writer.write(answer(came[-1]))
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        path = open_folder() / f"{pid}.json"
        yield Endpoint(pid, path, server.sockets[0].getsockname()[1], key), came
    finally:
        server.close()


STRANGERS = [
    lambda message: encode(id=1, result={"nonce": "b" * 64, "proof": "c" * 64}),
    lambda message: encode(id=1, result={"nonce": message["params"]["nonce"], "proof": "\ud800"}),
    lambda message: encode(id=1, result={"nonce": "\ud800", "proof": "c" * 64}),
    lambda message: encode(id=1, result={"version": 2}),
]


@pytest.mark.parametrize("answer", STRANGERS)
async def test_what_does_not_know_the_key_gets_neither_the_key_nor_a_question(answer):
    key = "a1" * 32
    async with pretend_at_port(key, answer) as (endpoint, came):
        with pytest.raises(UnknownPeer, match=rf"it does not know the key; .* delete .*{PARENT}\.json"):
            async with open_running_client(endpoint):
                raise AssertionError
    assert [message["method"] for message in came] == ["hello"]
    assert key not in json.dumps(came)


async def test_an_echo_of_the_real_gateway_proves_nothing(listening):
    """The proof of the gateway, sent back as that of the client."""
    async with listening("loopback"):
        (endpoint,) = list_endpoints()
        async with await connect(endpoint) as stream:
            reader = MessageReader(stream, MAX_REQUEST)
            await stream.send(encode(id=1, method="hello", params={"version": 2, "nonce": "a" * 64}))
            proof = (await reader.read())["result"]["proof"]
            await stream.send(encode(id=2, method="prove", params={"proof": proof}))
            assert (await reader.read())["error"]["message"] == "the key is wrong"


@pytest.mark.parametrize("proof", ["", "0" * 64, "\ud800", 5, None, []])
async def test_a_wrong_proof_is_refused(listening, proof):
    async with listening("loopback"):
        (endpoint,) = list_endpoints()
        async with await connect(endpoint) as stream:
            reader = MessageReader(stream, MAX_REQUEST)
            await stream.send(encode(id=1, method="hello", params={"version": 2, "nonce": "a" * 64}))
            await reader.read()
            await stream.send(encode(id=2, method="prove", params={"proof": proof}))
            assert (await reader.read())["error"]["message"] == "the key is wrong"
            assert await reader.read() is None
        for nonce in ("", "A" * 64, "\ud800" * 64, 1, None):
            async with await connect(endpoint) as stream:
                await stream.send(encode(id=1, method="hello", params={"version": 2, "nonce": nonce}))
                assert "nonce of 64" in (await MessageReader(stream, MAX_REQUEST).read())["error"]["message"]
        assert await find_running() == [endpoint]


async def test_the_port_of_a_gateway_that_has_ended_is_not_even_connected_to():
    async with pretend_at_port("a" * 64, lambda _: b"", pid=2147483646) as (endpoint, came):
        with pytest.raises(GatewayGone, match="process 2147483646 has ended"):
            async with open_running_client(endpoint):
                raise AssertionError
        assert came == []
