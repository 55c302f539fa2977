from typing import Any

import anyio
from mcp_gateway_transport_http.http1.write_batch import WriteBatch


class Wire:
    """Notes what is written."""

    def __init__(self, written: list[bytes], *, closing: bool = False) -> None:
        self.written, self.closing = written, closing

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.closing


async def test_what_is_sent_together_goes_when_all_that_is_ready_has_run():
    written: list[bytes] = []
    wire: Any = Wire(written)
    outbox = WriteBatch(requests_in_flight=2)
    outbox.write(wire, b"1")
    outbox.requests_in_flight = 1
    outbox.write(wire, b"2")
    assert written == []
    await anyio.lowlevel.checkpoint()
    assert written == [b"12"]


async def test_what_goes_to_one_connection_is_one_write_in_its_order():
    written: list[bytes] = []
    one: Any = Wire(written)
    other: Any = Wire(written)
    outbox = WriteBatch(requests_in_flight=2)
    for wire, data in ((one, b"1"), (other, b"a"), (one, b"2"), (other, b"b"), (one, b"3")):
        outbox.write(wire, data)
    outbox.flush()
    assert written == [b"123", b"ab"]


async def test_what_more_follows_waits_another_turn_and_no_longer():
    written: list[bytes] = []
    wire: Any = Wire(written)
    outbox = WriteBatch(requests_in_flight=1)
    outbox.write(wire, b"1", more=True)
    await anyio.lowlevel.checkpoint()
    outbox.write(wire, b"2", more=True)
    assert written == []
    await anyio.lowlevel.checkpoint()
    assert written == [b"12"]


async def test_one_alone_is_sent_at_once():
    written: list[bytes] = []
    wire: Any = Wire(written)
    WriteBatch(requests_in_flight=1).write(wire, b"1")
    assert written == [b"1"]


async def test_a_connection_that_was_closed_meanwhile_gets_nothing():
    written: list[bytes] = []
    open_one: Any = Wire(written)
    closed: Any = Wire(written, closing=True)
    outbox = WriteBatch(requests_in_flight=2)
    outbox.write(closed, b"1")
    outbox.write(open_one, b"2")
    outbox.flush()
    assert written == [b"2"]
