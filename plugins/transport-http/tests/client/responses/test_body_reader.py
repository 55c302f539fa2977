"""Bodies read in turns."""

from __future__ import annotations

import time

import anyio
import anyio.lowlevel
from mcp_gateway_transport_http.client.responses.body_reader import BodyReader
from mcp_gateway_transport_http.client.responses.limits import TURN_SECONDS, LimitExceeded


class Owner:
    """Takes its time with each item."""

    def __init__(self, seconds=0.0):
        self.items, self.turns, self.read, self.seconds = [], [], [], seconds
        self.ended = anyio.Event()

    def on_item(self, item):
        self.items.append(item)
        began = time.perf_counter()
        while time.perf_counter() - began < self.seconds:
            pass

    def on_read(self, error):
        self.read.append(error)
        self.ended.set()

    def set_turn_over(self, *, over):
        self.turns.append(over)


def letters(piece):
    for byte in piece:
        if byte == ord("!"):
            raise LimitExceeded("too loud")
        yield bytes([byte])


async def test_what_is_short_is_read_at_once():
    owner = Owner()
    reader = BodyReader(owner, letters)
    reader.feed(b"ab")
    assert owner.items == [b"a", b"b"]
    reader.end()
    assert (owner.read, owner.turns) == ([None], [])


async def test_what_takes_long_is_read_in_turns_in_order_and_to_its_end():
    owner = Owner(TURN_SECONDS * 0.6)
    reader = BodyReader(owner, letters)
    for piece in (b"abc", b"def", b"g"):
        reader.feed(piece)
    reader.end()
    assert len(owner.items) < 7
    assert owner.turns == [True]
    with anyio.fail_after(20):
        await owner.ended.wait()
    assert (b"".join(owner.items), owner.read) == (b"abcdefg", [None])
    assert owner.turns.count(True) >= 2


async def test_an_error_is_told_once_and_nothing_behind_it():
    owner = Owner()
    reader = BodyReader(owner, letters)
    reader.feed(b"a!b")
    reader.feed(b"c")
    reader.end()
    assert owner.items == [b"a"]
    assert [str(error) for error in owner.read] == ["too loud"]


async def test_who_closes_it_hears_nothing_more():
    owner = Owner(TURN_SECONDS * 2)
    reader = BodyReader(owner, letters)
    reader.feed(b"abc")
    reader.close()
    with anyio.move_on_after(TURN_SECONDS * 10):
        await owner.ended.wait()
    assert (owner.items, owner.read) == ([b"a"], [])
