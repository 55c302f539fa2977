"""Plain requests to a child process, beside the messages that are for the SDK."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from mcp_gateway_transport_stdio.child.process import ChildCommand, open_child
from mcp_gateway_transport_stdio.child.stray_output import StrayOutput
from mcp_gateway_transport_stdio.framing import LineSplitter
from mcp_gateway_transport_stdio.raw_channel import open_wire, response_id

from mcp_gateway.plugin import ConnectionDropped, RequestNotSent, ServerUnavailable

SERVER = """
import json, sys, time
for line in sys.stdin:
    message = json.loads(line)
    if message["method"] == "die":
        sys.exit(3)
    if message["method"] == "silence":
        continue
    if message["method"] == "flood":
        print("\\n".join(['{"jsonrpc":"2.0","method":"notifications/message","params":{}}'] * 20_000), flush=True)
    if message["method"] in ("endless", "endless-answer"):
        sys.stdout.write('{"jsonrpc":"2.0","id":%d,"result":"' % (message["id"] if "-" in message["method"] else 99))
        while True:
            sys.stdout.write("x" * 65536)
    if message["method"] == "chat":
        print("this is no message", flush=True)
        print(json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": {}}), flush=True)
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": {"said": message["params"]}}), flush=True)
"""


@asynccontextmanager
async def session(noise=None, limit=32 << 20):
    program = ChildCommand([sys.executable, "-c", SERVER], {}, None, sys.stderr)
    with anyio.fail_after(30):
        async with open_wire(partial(open_child, program), noise or StrayOutput("server"), limit) as streams:
            yield streams


async def send(wire, method="echo", request_id=1, params=b"{}", seconds=20.0):
    message = b'{"jsonrpc":"2.0","id":%d,"method":"%b","params":%b}' % (request_id, method.encode(), params)
    return await wire.request_raw(message, request_id, {}, seconds)


async def test_a_request_gets_the_line_that_answers_it():
    async with session() as (_, wire):
        big = b'"' + b"x" * 500_000 + b'"'
        answers = {}

        async def ask(number, params):
            answers[number] = await send(wire, request_id=number, params=params)

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(ask, number, big if number % 7 == 0 else b"%d" % number)
    assert all(b'"id": %d,' % number in answers[number] for number in range(20))
    assert big in answers[7]


async def test_what_is_no_answer_is_for_the_sdk_and_comes_before_the_answer_and_noise_is_counted():
    noise = StrayOutput("server")
    async with session(noise) as (incoming, wire):
        came = []

        async def read():
            while True:
                came.append(await incoming.receive())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await send(wire, "chat")
            assert [one.message.method for one in came] == ["notifications/message"]
            assert noise.lines == 1
            tasks.cancel_scope.cancel()


async def test_a_process_that_ends_takes_its_requests_with_it():
    async with session() as (incoming, wire):
        with pytest.raises(ServerUnavailable, match="closed the connection"):
            await send(wire, "die")
        with pytest.raises(RequestNotSent):
            await send(wire)
        with pytest.raises(anyio.EndOfStream):
            await incoming.receive()


async def test_silence_has_an_end():
    async with session() as (_, wire):
        with pytest.raises(TimeoutError):
            await send(wire, "silence", seconds=0.05)
        assert await send(wire, request_id=2)


async def test_a_request_that_is_given_up_disturbs_no_other():
    async with session() as (_, wire):
        with anyio.move_on_after(0.05):
            await send(wire, "silence")
        assert b'"id": 2' in await send(wire, request_id=2)


async def test_an_answer_that_is_too_long_fails_its_request_and_no_other():
    async with session(limit=10_000) as (_, wire):
        with pytest.raises(ServerUnavailable, match=r"more than the 10000 .*GATEWAY_MAX_RESULT_BYTES"):
            await send(wire, params=b'"' + b"x" * 20_000 + b'"')
        assert b'"id": 2' in await send(wire, request_id=2)


async def test_an_answer_without_an_end_fails_as_soon_as_it_is_too_long():
    async with session(limit=10_000) as (_, wire):
        with pytest.raises(ServerUnavailable, match="it answered with a message of more than the 10000 bytes"):
            await send(wire, "endless-answer")


async def test_a_line_without_an_end_ends_the_session_and_says_why():
    async with session(limit=1 << 20) as (_, wire):
        with pytest.raises(ServerUnavailable, match="no end of it") as failure:
            await send(wire, "endless")
        assert not isinstance(failure.value, ConnectionDropped)
        with pytest.raises(RequestNotSent):
            await send(wire, request_id=2)


async def test_an_answer_behind_a_flood_comes_after_it_and_others_have_their_turn_meanwhile():
    turns = 0

    async def count_turns():
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with session() as (incoming, wire), anyio.create_task_group() as tasks:
        heard = []

        async def hear():
            heard.extend([item async for item in incoming])

        tasks.start_soon(hear)
        tasks.start_soon(count_turns)
        assert b'"id": 1' in await send(wire, "flood")
        before = turns
        with suppress(ConnectionDropped):
            await send(wire, "die", request_id=2)
        while not heard:
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert len(heard) == 20_000
    assert before > 100


def written(method="echo", request_id=1):
    return b'{"jsonrpc":"2.0","id":%d,"method":"%b","params":{}}' % (request_id, method.encode())


@pytest.mark.parametrize("method", ["echo", "die"])
async def test_what_is_sent_at_once_is_heard_of_once(method):
    outcomes, came = [], anyio.Event()
    async with session() as (_, wire):

        def done(outcome):
            outcomes.append(outcome)
            came.set()

        assert wire.request_raw_nowait(written(method), 1, {}, 20.0, done) is not None
        await came.wait()
    assert [type(outcome) for outcome in outcomes] == [bytes if method == "echo" else ConnectionDropped]


async def test_nothing_is_heard_of_what_was_given_up():
    outcomes = []
    async with session() as (incoming, wire):
        wire.request_raw_nowait(written(), 1, {}, 20.0, outcomes.append)()
        assert (await incoming.receive()).message.id == 1
        assert await send(wire, request_id=2)
    assert outcomes == []


async def test_nothing_is_sent_at_once_to_a_process_that_has_ended():
    async with session() as (_, wire):
        with pytest.raises(ServerUnavailable):
            await send(wire, "die")
        assert wire.request_raw_nowait(written(), 1, {}, 20.0, print) is None


def open_files():
    """How many files are open, where the system tells."""
    files = Path("/proc/self/fd")
    return len(list(files.iterdir())) if files.exists() else 0


@pytest.mark.parametrize("command", ["echo", "die"])
async def test_a_session_leaves_no_file_open(command):
    async def used():
        async with session() as (_, wire):
            with suppress(ServerUnavailable):
                await send(wire, command)

    await used()
    before = open_files()
    for _ in range(3):
        await used()
    with anyio.fail_after(30):
        while open_files() > before:
            await anyio.lowlevel.checkpoint()


async def test_a_program_that_is_not_there_leaves_no_file_open():
    before = open_files()
    for _ in range(3):
        with pytest.raises(FileNotFoundError):
            async with open_child(
                ChildCommand(["/no/such/program"], {}, None, sys.stderr), LineSplitter(print, print, 9), print
            ):
                pass
    assert open_files() <= before


@pytest.mark.parametrize(
    "line, request_id",
    [
        (b'{"jsonrpc":"2.0","id":7,"result":{}}', 7),
        (b'{ "jsonrpc" : "2.0" , "id" : 7 , "error" : {} }', 7),
        (b'{"result":{"id":8},"jsonrpc":"2.0","id":7}', 7),
        (b'{"id":7,"result":{}}', 7),
        (b'{"jsonrpc":"2.0","id":7,"method":"ping"}', -1),
        (b'{"jsonrpc":"2.0","id":"7","result":{}}', -1),
        (b'{"jsonrpc":"2.0","method":"x","params":{"id":7}}', -1),
        (b"no message", -1),
    ],
)
def test_a_line_says_which_request_it_answers(line, request_id):
    assert response_id(line) == request_id
