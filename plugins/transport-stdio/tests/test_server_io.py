"""Lines of the client that are dispatched as bytes, beside those that are for the SDK's server."""

from __future__ import annotations

import json
import os
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel
import pytest
from mcp_gateway_transport_stdio import server_output
from mcp_gateway_transport_stdio.server_io import MOST_WAITING, open_server_io

from mcp_gateway.plugin import RawResponse, ResponseWriter

SECONDS = 30
CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}'
OTHER = b'{"jsonrpc":"2.0","id":2,"method":"logging/setLevel","params":{}}'
RESULT = b'{"jsonrpc":"2.0","id":1,"result":{}}'
PROGRESS = b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}'
REPLY = b'{"jsonrpc":"2.0","id":"gateway-1","result":{}}'


@dataclass
class Gateway:
    """Takes all messages but those that name `logging`, and keeps them with their writers."""

    taken: list[bytes] = field(default_factory=list)
    writers: list[ResponseWriter] = field(default_factory=list)
    abandoned: list[int] = field(default_factory=list)

    def dispatch_raw(self, message, headers, principal, writer):
        assert (headers, principal) == (None, None)
        if b"logging" in message:
            return None
        self.taken.append(message)
        self.writers.append(writer)
        number = len(self.taken)
        return lambda: self.abandoned.append(number)


@dataclass
class Client:
    """The other ends of the pipes."""

    pipes: object
    gateway: object
    writing: int
    reading: int
    rest: bytes = b""

    async def write(self, *lines):
        """Write lines, and wait until they have been heard."""
        lines_before = self.count_lines()
        await self.write_only(*lines)
        await until(lambda: self.count_lines() - lines_before == sum(bool(line.strip()) for line in lines))

    async def write_only(self, *lines):
        """Write lines, as fast as they are read."""
        data = b"".join(line + b"\n" for line in lines)
        while data:
            await anyio.wait_writable(self.writing)
            data = data[os.write(self.writing, data[:4096]) :]

    def count_lines(self):
        """How many lines were dispatched, or are kept for later or for the SDK."""
        taken = 0 if self.gateway is None else len(self.gateway.taken)
        waiting = self.pipes._lines_out.statistics().current_buffer_used
        return taken + waiting + len(self.pipes._early or ())

    async def read(self):
        """Read a line."""
        while b"\n" not in self.rest:
            await anyio.wait_readable(self.reading)
            data = os.read(self.reading, 1 << 20)
            assert data, "the gateway has closed its output"
            self.rest += data
        line, self.rest = self.rest.split(b"\n", 1)
        return line

    def close_input(self):
        os.close(self.writing)
        self.writing = -1

    def close_output(self):
        os.close(self.reading)
        self.reading = -1


@asynccontextmanager
async def serve_client(gateway=None, answer_first=lambda _: None, longest=1 << 20):
    """Serve a client whose server is `gateway`; without one it is not loaded yet."""
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    with anyio.fail_after(SECONDS):
        async with open_server_io(answer_first, theirs_in, theirs_out, longest) as pipes:
            # What is open nowhere else is closed with the protocol.
            os.close(theirs_in)
            os.close(theirs_out)
            if gateway is not None:
                pipes.set_server(gateway)
            client = Client(pipes, gateway if isinstance(gateway, Gateway) else None, ours_out, ours_in)
            yield client
    for descriptor in (client.writing, client.reading):
        with suppress(OSError):
            os.close(descriptor)


async def until(is_so):
    while not is_so():
        await anyio.lowlevel.checkpoint()


async def lines_for_sdk(pipes, count):
    lines = aiter(pipes)
    return [await anext(lines) for _ in range(count)]


async def test_a_message_is_answered_by_who_takes_it_and_others_are_for_the_sdk():
    gateway = Gateway()
    async with serve_client(gateway) as client:
        await client.write(CALL, OTHER)
        assert gateway.taken == [CALL]
        assert await lines_for_sdk(client.pipes, 1) == [OTHER.decode()]
        assert client.pipes.in_flight == 1
        gateway.writers[0].finish(RawResponse(RESULT))
        assert await client.read() == RESULT
        assert client.pipes.in_flight == 0
    assert gateway.abandoned == []


async def test_without_a_server_for_bytes_all_is_for_the_sdk():
    async with serve_client(object()) as client:
        await client.write(CALL, OTHER)
        assert await lines_for_sdk(client.pipes, 2) == [CALL.decode(), OTHER.decode()]


async def test_lines_for_the_sdk_have_no_half_of_a_surrogate_pair():
    async with serve_client(Gateway()) as client:
        await client.write(b'{"method":"logging","x":"\\ud83d"}')
        assert await lines_for_sdk(client.pipes, 1) == ['{"method":"logging","x":"\\ufffd"}']


async def test_what_is_written_before_the_response_comes_before_it():
    gateway = Gateway()
    async with serve_client(gateway) as client:
        await client.write(CALL)
        for _ in range(3):
            gateway.writers[0].write(PROGRESS)
        gateway.writers[0].finish(RawResponse(RESULT))
        assert [await client.read() for _ in range(4)] == [PROGRESS] * 3 + [RESULT]


async def test_each_message_is_one_line_whatever_its_length():
    gateway = Gateway()
    long = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"text": "x" * 3_000_000}}, indent=2).encode()
    async with serve_client(gateway) as client:
        await client.write(CALL)
        gateway.writers[0].write(json.dumps(json.loads(PROGRESS), indent=2).encode())
        gateway.writers[0].finish(RawResponse(long))
        assert json.loads(await client.read()) == json.loads(PROGRESS)
        assert json.loads(await client.read()) == json.loads(long)


async def test_a_response_of_the_clients_is_dispatched_and_nothing_is_written_for_it():
    gateway = Gateway()
    async with serve_client(gateway) as client:
        await client.write(CALL, REPLY, CALL)
        assert gateway.taken == [CALL, REPLY, CALL]
        gateway.writers[1].finish(RawResponse(b"", accepted=True))
        gateway.writers[2].finish(RawResponse(b""))  # cancelled by the client
        gateway.writers[0].finish(RawResponse(RESULT))
        assert await client.read() == RESULT
        assert client.pipes.in_flight == 0


@pytest.mark.parametrize(
    "written, taken",
    [
        (b"\xef\xbb\xbf" + CALL, [CALL]),
        (CALL + b"\r", [CALL]),
        (b"\n\r\n  \n" + CALL, [CALL]),
        (b'{"id":1,"x":"\\ud83d"}', [b'{"id":1,"x":"\\ud83d"}']),
        (b'{"id":1,"x":"\xff"}', ['{"id":1,"x":"\ufffd"}'.encode()]),
        (b'{"id":1,"x":NaN,"y":' + b"9" * 5000 + b"}", [b'{"id":1,"x":NaN,"y":' + b"9" * 5000 + b"}"]),
    ],
    ids=["BOM", "CR LF", "empty lines", "half a surrogate pair", "no UTF-8", "numbers"],
)
async def test_lines_are_dispatched_as_they_are_but_for_their_text(written, taken):
    gateway = Gateway()
    async with serve_client(gateway) as client:
        await client.write_only(written)
        await until(lambda: gateway.taken)
        assert gateway.taken == taken


async def test_a_line_that_is_too_long_is_refused_alone():
    gateway = Gateway()
    async with serve_client(gateway, longest=1000) as client:
        await client.write_only(CALL[:-1] + b" " * 2000 + b"}", CALL)
        assert json.loads(await client.read())["error"]["code"] == -32600
        await until(lambda: gateway.taken == [CALL])


async def test_what_comes_before_the_server_is_loaded_is_dispatched_then_in_its_order():
    gateway = Gateway()
    async with serve_client(answer_first=lambda _: RESULT) as client:
        await client.write(OTHER, CALL, REPLY)
        assert await client.read() == RESULT
        assert gateway.taken == []
        client.pipes.set_server(gateway)
        assert gateway.taken == [CALL, REPLY]
        assert await lines_for_sdk(client.pipes, 1) == [OTHER.decode()]


async def test_what_comes_before_the_server_is_loaded_is_bounded():
    gateway = Gateway()
    async with serve_client(longest=10_000) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.write_only, *[CALL] * 20_000)
            await until(lambda: client.pipes._is_reading_paused)
            await anyio.wait_all_tasks_blocked()
            assert len(client.pipes._early) < 5 * MOST_WAITING
            client.pipes.set_server(gateway)
        await until(lambda: len(gateway.taken) == 20_000)


async def test_a_client_that_left_before_the_server_was_loaded_is_answered():
    gateway = Gateway()
    async with serve_client() as client:
        await client.write(CALL)
        os.write(client.writing, OTHER)  # without its end
        client.close_input()
        await until(lambda: client.pipes._is_ended)
        client.pipes.set_server(gateway)
        assert [line async for line in client.pipes] == [OTHER.decode()]
        gateway.writers[0].finish(RawResponse(RESULT))
        assert await client.read() == RESULT


async def test_the_end_of_the_input_abandons_nothing():
    gateway = Gateway()
    async with serve_client(gateway) as client:
        await client.write(CALL)
        client.close_input()
        assert [line async for line in client.pipes] == []
        assert (client.pipes.in_flight, gateway.abandoned) == (1, [])
    assert gateway.abandoned == [1]


async def test_all_in_flight_is_abandoned_once_when_serving_ends():
    gateway = Gateway()
    async with serve_client(gateway) as client:
        await client.write(CALL, REPLY, CALL)
        gateway.writers[1].finish(RawResponse(b"", accepted=True))
    assert gateway.abandoned == [1, 3]


async def test_all_in_flight_is_abandoned_when_the_client_closes_its_output():
    gateway = Gateway()
    async with serve_client(gateway) as client:
        await client.write(CALL)
        client.close_output()
        await until(lambda: gateway.abandoned)
        gateway.writers[0].write(PROGRESS)
        gateway.writers[0].finish(RawResponse(RESULT))
        assert not gateway.writers[0].is_congested
    assert gateway.abandoned == [1]


async def test_a_client_that_closes_its_output_has_left_though_its_input_stays_open():
    async with serve_client(Gateway()) as client:
        await client.write(CALL)
        client.close_output()
        assert [line async for line in client.pipes] == []


async def test_what_a_client_does_not_read_to_the_end_is_told_of(caplog):
    gateway = Gateway()
    async with serve_client(gateway) as client:
        await client.write(CALL)
        gateway.writers[0].finish(RawResponse(b"x" * 4_000_000))
        await client.pipes.output.drain(0.01)
        (record,) = caplog.records
        assert (record.message, record.bytes > 1_000_000) == ("responses not read", True)
        assert len(await client.read()) == 4_000_000


async def test_a_client_that_does_not_read_is_congested_until_it_does():
    gateway = Gateway()
    async with serve_client(gateway) as client:
        await client.write(CALL)
        (writer,) = gateway.writers
        count = 0
        while not writer.is_congested:
            writer.write(PROGRESS)
            count += 1
        assert count > 1
        assert [await client.read() for _ in range(count)] == [PROGRESS] * count
        assert not writer.is_congested


async def test_a_client_that_reads_nothing_is_not_read_for_ever(monkeypatch):
    monkeypatch.setattr(server_output, "MAX_UNREAD_BYTES", 1 << 20)
    gateway = Gateway()
    long = b'{"jsonrpc":"2.0","id":1,"result":"%b"}' % (b"x" * 4_000_000)
    async with serve_client(gateway) as client:
        await client.write(CALL)
        gateway.writers[0].finish(RawResponse(long))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.write_only, *[CALL] * 20_000)
            await until(lambda: client.pipes._is_reading_paused)
            await anyio.wait_all_tasks_blocked()
            assert len(gateway.taken) < 5000
            assert await client.read() == long
        await until(lambda: len(gateway.taken) == 20_001)
