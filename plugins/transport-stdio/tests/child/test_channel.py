"""The channel to a child process: order, ends, limits, and a child that does not read."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from mcp_gateway_transport_stdio.child import process
from mcp_gateway_transport_stdio.child.channel import ChildChannel
from mcp_gateway_transport_stdio.child.process import open_child
from mcp_gateway_transport_stdio.child.stray_output import StrayOutput
from mcp_gateway_transport_stdio.child.supervised_process import ChildCommand, Supervisor
from mcp_gateway_transport_stdio.child.write_queue import MAX_MESSAGES

from mcp_gateway.plugin import (
    ConnectionDropped,
    RequestNotSent,
    ServerChannel,
    ServerUnavailable,
    SupportsUnreadableOutput,
)

from .support import NOTIFICATION, SERVER, open_listener

PROGRESS = b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":%d}}\n'
RESPONSE = b'{"jsonrpc":"2.0","id":%d,"result":{}}\n'
BIG = "x" * 500_000


# -- requests


async def test_it_is_a_channel_to_a_server():
    async with open_listener() as listener:
        assert isinstance(listener.channel, ServerChannel)


async def test_requests_get_the_lines_that_answer_them():
    async with open_listener() as listener:
        handlers = [listener.begin(request_id=number, text=BIG if number % 7 == 0 else number) for number in range(20)]
        answers = [json.loads(await handler.outcome()) for handler in handlers]
    assert [answer["id"] for answer in answers] == list(range(20))
    assert answers[7]["result"]["text"] == BIG


async def test_a_request_is_one_line_however_it_is_written():
    async with open_listener() as listener:
        handler = listener.begin()
        pretty = json.dumps({"jsonrpc": "2.0", "id": 2, "method": "echo", "params": {"a": 1}}, indent=2).encode()
        listener.channel.request(pretty, 2, {}, handler)
        await listener.ask(request_id=3)
    assert [json.loads(response)["id"] for response in handler.responses] == [1, 2]


async def test_of_an_abandoned_request_nothing_more_is_heard_but_its_response_beside():
    async with open_listener() as listener:
        handler = listener.begin()
        handler.abandon()
        assert b'"id": 2' in await listener.ask(request_id=2)
        handler.abandon()
        assert [json.loads(message)["id"] for message in listener.messages] == [1]
    assert (handler.responses, handler.failures) == ([], [])


async def test_lines_that_are_no_messages_are_told_until_the_next_answer():
    async with open_listener() as listener:
        channel = listener.channel
        await listener.begin_write(b"Started\n", answers=True).outcome()
        assert channel.describe_unreadable(1) == ""
        assert isinstance(channel, SupportsUnreadableOutput)
        listener.begin_write(b'{\n  "jsonrpc": "2.0",\n', request_id=2)
        while "2 lines" not in channel.describe_unreadable(2):
            await anyio.lowlevel.checkpoint()
        told = "it wrote 2 lines to standard output that are no MCP messages, first '{' (JSON over several lines: "
        assert channel.describe_unreadable(2).startswith(told)
        await listener.ask(request_id=3)
        assert channel.describe_unreadable(3) == ""


@pytest.mark.parametrize("is_abandoned", [False, True])
async def test_a_line_that_is_no_message_is_quoted_to_the_only_request_that_it_can_be_about(is_abandoned):
    broken = b'Working... {"jsonrpc":"2.0","id":1,"result":"of another"}\n'
    async with open_listener() as listener:
        channel = listener.channel
        earlier = listener.begin_write(broken)
        while not channel.describe_unreadable(1):
            await anyio.lowlevel.checkpoint()
        listener.begin("silence", request_id=2)
        assert "of another" in channel.describe_unreadable(1)
        for other in (2, None):
            told = channel.describe_unreadable(other)
            assert told == "it wrote 1 line to standard output that is no MCP message"
        if is_abandoned:
            earlier.abandon()
        await listener.ask(request_id=3)
        later = listener.begin_write(broken, request_id=4)
        while not channel.describe_unreadable(4):
            await anyio.lowlevel.checkpoint()
        assert "of another" not in channel.describe_unreadable(4), "it may be about the first one"
        assert not later.responses


UNNAMED = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}'


@pytest.mark.parametrize("error_id", [b"null", b'"server-error"', b"-1", b"true"])
async def test_an_error_without_an_id_of_ours_is_the_answer_if_no_other_comes(error_id):
    error = UNNAMED.replace(b"null", error_id)
    async with open_listener() as listener:
        assert await listener.begin_write(error + b"\n").outcome() == error
        late = listener.begin_write(error + b"\n", request_id=2, answers=True)
        assert b'"id": 2' in await late.outcome()


async def test_a_line_of_a_log_that_has_an_id_is_no_answer():
    async with open_listener() as listener:
        logging = listener.begin_write(b'{"id":"7f","error":"it broke"}\n')
        await anyio.sleep(1.5)  # longer than an error without an id waits
        assert not logging.responses
        await listener.ask(request_id=2)


async def test_an_error_without_an_id_that_may_answer_something_else_is_no_answer():
    async with open_listener() as listener:
        await listener.channel.send(NOTIFICATION, {})
        listener.begin_write(UNNAMED + b"\n")
        await listener.ask(request_id=2)
        listener.begin("silence", request_id=3)
        listener.begin_write(UNNAMED + b"\n", request_id=4)
        await listener.ask(request_id=5)
        assert listener.messages == [UNNAMED, UNNAMED]


@pytest.mark.parametrize("is_abandoned", [False, True])
async def test_an_error_without_an_id_that_may_be_an_earlier_requests_is_no_answer(is_abandoned):
    async with open_listener() as listener:
        earlier = listener.begin("silence", request_id=1)
        if is_abandoned:
            earlier.abandon()
        await listener.ask(request_id=2)
        later = listener.begin_write(UNNAMED + b"\n", request_id=3)
        await anyio.sleep(1.5)  # longer than an error without an id waits
        assert (earlier.responses, later.responses, listener.messages) == ([], [], [UNNAMED])


async def test_a_request_whose_answer_was_too_long_leaves_no_doubt_about_later_ones():
    async with open_listener(limit=2000) as listener:
        with pytest.raises(ServerUnavailable, match="more than the 2000 bytes"):
            await listener.begin_write(b'{"jsonrpc":"2.0","id":1,"result":"%b"}\n' % (b"x" * 3000)).outcome()
        assert await listener.begin_write(UNNAMED + b"\n", request_id=2).outcome() == UNNAMED


# -- order


@pytest.mark.parametrize("count", [1, 1000], ids=["in one piece", "in many"])
async def test_nothing_is_overtaken(count):
    lines = [PROGRESS % number for number in range(999)]
    written = b"".join([*lines[:333], RESPONSE % 1, *lines[333:666], RESPONSE % 2, *lines[666:]])
    size = len(written) // count + 1
    async with open_listener() as listener:
        listener.begin("silence", request_id=1)
        listener.begin("silence", request_id=2)
        await listener.begin_write(
            *(written[at : at + size] for at in range(0, len(written), size)), request_id=3, answers=True
        ).outcome()
    expected = [line.strip() for line in lines]
    assert listener.heard == [*expected[:333], 1, *expected[333:666], 2, *expected[666:], 3]


async def test_ten_thousand_notifications_come_before_the_response_that_follows_them():
    async with open_listener() as listener:
        await listener.ask("repeat", piece=(NOTIFICATION + b"\n").hex(), times=10_000)
        assert listener.heard == [NOTIFICATION] * 10_000 + [1]


async def test_others_have_their_turn_during_a_flood():
    turns = 0

    async def count_turns():
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with open_listener() as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(count_turns)
        await listener.ask("repeat", piece=(NOTIFICATION + b"\n").hex(), times=100_000)
        assert len(listener.messages) == 100_000
        assert turns > 100
        tasks.cancel_scope.cancel()


async def test_nothing_is_heard_while_reading_is_paused_and_nothing_is_lost():
    async with open_listener() as listener:
        listener.channel.set_reading_paused(paused=True)
        handler = listener.begin("repeat", piece=(NOTIFICATION + b"\n").hex(), times=20_000)
        await anyio.wait_all_tasks_blocked()
        assert listener.heard == []
        listener.channel.set_reading_paused(paused=False)
        await handler.outcome()
        assert listener.heard == [NOTIFICATION] * 20_000 + [1]


async def test_a_listener_may_pause_in_the_middle_of_a_piece():
    async with open_listener() as listener:

        def pause_once(message):
            listener.heard.append(message)
            listener.channel.set_reading_paused(paused=True)
            paused.set()

        paused = anyio.Event()
        listener.channel._on_message = pause_once
        handler = listener.begin_write((NOTIFICATION + b"\n") * 3, RESPONSE % 1)
        for count in (1, 2, 3):
            await paused.wait()
            await anyio.wait_all_tasks_blocked()
            assert listener.heard == [NOTIFICATION] * count
            paused = anyio.Event()
            listener.channel.set_reading_paused(paused=False)
        await handler.outcome()


# -- the end


async def test_a_process_that_ends_takes_its_requests_with_it():
    async with open_listener() as listener:
        waiting = listener.begin("silence")
        with pytest.raises(ConnectionDropped, match="closed the connection"):
            await listener.ask("exit", request_id=2)
        assert [type(error) for error in waiting.failures] == [ConnectionDropped]
        assert listener.closings == 1
    assert (len(waiting.failures), listener.closings) == (1, 1)


async def test_what_a_process_has_written_before_its_end_is_heard():
    async with open_listener() as listener:
        handlers = [listener.begin("silence", request_id=number) for number in (1, 2)]
        written = [NOTIFICATION + b"\n", RESPONSE % 1, NOTIFICATION + b"\n", RESPONSE % 2]
        last = listener.begin_write(*written, request_id=3, exits=True)
        with pytest.raises(ConnectionDropped):
            await last.outcome()
        assert listener.heard == [NOTIFICATION, 1, NOTIFICATION, 2]
    assert [len(handler.responses) for handler in handlers] == [1, 1]


async def test_what_was_written_is_heard_also_when_the_end_is_known_before():
    async with open_listener() as listener:
        listener.channel.set_reading_paused(paused=True)
        handler = listener.begin_write(NOTIFICATION + b"\n", RESPONSE % 1, exits=True)
        assert await handler.outcome() == (RESPONSE % 1).strip()
        assert listener.heard == [NOTIFICATION, 1]
        assert listener.closings == 1


async def test_a_process_that_ends_is_missed_though_its_own_child_holds_the_pipes_open():
    async with open_listener() as listener:
        await listener.ask()
        held, last = listener.begin("silence", request_id=2), listener.begin("leave", request_id=3)
        assert b'"id": 3' in await last.outcome()
        with pytest.raises(ConnectionDropped):
            await held.outcome()
        await listener.channel._child._process.exited.wait()
    assert listener.closings == 1
    assert listener.channel.exit_status == 3


async def test_a_program_may_leave_its_place_to_the_server_that_it_starts(monkeypatch):
    monkeypatch.setattr(process, "_STATUS_SECONDS", 0)
    async with open_listener(server=f"import os\nif os.fork(): os._exit(0)\n{SERVER}") as listener:
        await listener.channel._child._process.exited.wait()
        for number in range(9):
            await listener.ask(request_id=number)
        assert listener.closings == 0


async def test_a_request_to_a_process_that_has_ended_was_not_sent_and_that_is_told_later():
    async with open_listener() as listener:
        with pytest.raises(ServerUnavailable):
            await listener.ask("exit")
        late, abandoned = listener.begin(request_id=2), listener.begin(request_id=3)
        assert late.failures == []
        abandoned.abandon()
        with pytest.raises(RequestNotSent):
            await late.outcome()
        with pytest.raises(ServerUnavailable):
            await listener.channel.send(NOTIFICATION, {})
    assert abandoned.failures == []


async def test_a_process_that_ends_at_once_closes_its_channel_once():
    async with open_listener(server="") as listener:
        while not listener.closings:
            await anyio.lowlevel.checkpoint()
        with pytest.raises(RequestNotSent):
            await listener.ask()
    assert listener.closings == 1


async def test_the_owner_of_a_channel_ends_what_is_under_way():
    async with open_listener() as listener:
        waiting = listener.begin("silence")
        await listener.ask(request_id=2)
    assert [type(error) for error in waiting.failures] == [ConnectionDropped]
    assert listener.closings == 1


# -- a child that does not read


async def fill(listener):
    """Write to a child until it reads no more."""
    listener.begin("deaf", request_id=1000)
    number = 1001
    while not listener.channel._child.is_congested:
        listener.begin(request_id=number, text=BIG)
        number += 1


async def test_requests_wait_until_the_child_reads_and_are_written_in_order():
    slow = SERVER.replace("time.sleep(60)", "sys.stdin.buffer.peek(1); time.sleep(0.2)")
    async with open_listener(server=slow) as listener:
        await fill(listener)
        handlers = [listener.begin(request_id=number) for number in range(1, 6)]
        handlers[2].abandon()
        for handler in (*handlers[:2], *handlers[3:]):
            await handler.outcome()
        assert [number for number in listener.heard if number in range(1, 6)] == [1, 2, 4, 5]
        assert listener.messages == []


async def test_notifications_wait_until_the_child_reads():
    slow = SERVER.replace("time.sleep(60)", "time.sleep(0.2)")
    async with open_listener(server=slow) as listener:
        await fill(listener)
        handler = listener.begin()
        await listener.channel.send(NOTIFICATION, {})
        await handler.outcome()


async def test_requests_that_wait_are_not_sent_when_the_child_ends():
    async with open_listener() as listener:
        await fill(listener)
        waiting, abandoned = listener.begin(request_id=1), listener.begin(request_id=2)
        abandoned.abandon()
        async with anyio.create_task_group() as tasks:

            async def notify():
                with pytest.raises(ServerUnavailable):
                    await listener.channel.send(NOTIFICATION, {})

            tasks.start_soon(notify)
            await anyio.wait_all_tasks_blocked()
            listener.channel._child.end()
    assert [type(error) for error in waiting.failures] == [RequestNotSent]
    assert abandoned.failures == []


async def test_a_sender_that_gives_up_leaves_nothing_to_be_written():
    async with open_listener() as listener:
        await fill(listener)
        with anyio.move_on_after(0.01):
            await listener.channel.send(NOTIFICATION, {})
        assert listener.channel._unwritten._messages == {}
        assert listener.channel._unwritten._bytes == 0


@pytest.mark.parametrize("text, limit", [("", MAX_MESSAGES), (BIG, 2)], ids=["in number", "in bytes"])
async def test_only_so_much_waits_for_a_child_that_does_not_read(text, limit):
    async with open_listener(limit=1_200_000) as listener:
        await fill(listener)
        handlers = [listener.begin(request_id=number, text=text) for number in range(limit + 3)]
        await anyio.lowlevel.checkpoint()
        failed = [handler.request_id for handler in handlers if handler.failures]
        assert failed == [limit, limit + 1, limit + 2]
        with pytest.raises(RequestNotSent, match="does not read its standard input"):
            await handlers[-1].outcome()


# -- what is too long


async def test_a_response_that_is_too_long_fails_its_request_and_no_other():
    async with open_listener(limit=10_000) as listener:
        with pytest.raises(ServerUnavailable, match=r"more than the 10000 .*GATEWAY_MAX_RESULT_BYTES"):
            await listener.ask(text="x" * 20_000)
        assert b'"id": 2' in await listener.ask(request_id=2)


@pytest.mark.parametrize("written_id", [b"1", b'"1"', b"1.0"])
async def test_it_is_known_by_its_id_however_that_is_written(written_id):
    line = b'{"jsonrpc":"2.0","id":%b,"result":"%b"}\n' % (written_id, b"x" * 20_000)
    async with open_listener(limit=10_000) as listener:
        with pytest.raises(ServerUnavailable, match="more than the 10000 "):
            await listener.begin_write(line).outcome()


async def test_a_request_of_the_server_that_is_too_long_is_answered_with_an_error():
    # The server sends the error back, and answers it, too.
    line = b'{"jsonrpc":"2.0","id":7,"method":"roots/list","params":"%b"}\n' % (b"x" * 20_000)
    echo = SERVER.replace('"id" not in message', '"error" in message and write(b"[" + line.strip() + b"]\\n")')
    async with open_listener(limit=10_000, server=echo) as listener:
        listener.begin_write(line)
        await listener.ask(request_id=2)
        await listener.ask(request_id=3)
        message = json.loads(listener.messages[0])
    assert (message["id"], message["error"]["code"]) == (7, -32600)
    assert "GATEWAY_MAX_RESULT_BYTES" in message["error"]["message"]


async def test_a_response_without_an_end_fails_as_soon_as_it_is_too_long():
    async with open_listener(limit=10_000) as listener:
        with pytest.raises(ServerUnavailable, match="it answered with a message of more than the 10000 bytes"):
            await listener.ask("endless", piece=b'{"jsonrpc":"2.0","id":1,"result":"'.hex())


async def test_a_line_without_an_end_ends_the_session_and_says_why():
    async with open_listener(limit=1 << 20) as listener:
        with pytest.raises(ServerUnavailable, match="no end of it") as failure:
            await listener.ask("endless", piece=b'{"jsonrpc":"2.0","id":99,"result":"'.hex())
        assert not isinstance(failure.value, ConnectionDropped)
        with pytest.raises(RequestNotSent):
            await listener.ask(request_id=2)


# -- files


def open_files():
    """How many files are open, where the system tells."""
    files = Path("/proc/self/fd")
    return len(list(files.iterdir())) if files.exists() else 0


@pytest.mark.parametrize("method", ["echo", "exit"])
async def test_a_session_leaves_no_file_open(method):
    async def use():
        async with open_listener() as listener:
            with suppress(ServerUnavailable):
                await listener.ask(method)

    await use()
    before = open_files()
    for _ in range(3):
        await use()
    with anyio.fail_after(30):
        while open_files() > before:
            await anyio.lowlevel.checkpoint()


async def test_a_program_that_is_not_there_leaves_no_file_open():
    supervisor, command = Supervisor(), ChildCommand(["/no/such/program"], {}, None, sys.stderr)
    before = open_files()
    for _ in range(3):
        with pytest.raises(FileNotFoundError), supervisor.use():
            async with open_child(supervisor, command, ChildChannel(StrayOutput("server"), 9)):
                pass
    with anyio.fail_after(30):
        while open_files() > before:
            await anyio.lowlevel.checkpoint()
