"""What comes over HTTP: events and responses, in whichever pieces they come."""

# that a refusal has words is asserted where it is caught

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import cache
from typing import Any

from mcp_gateway_transport_http.client.response_limits import LimitExceeded
from mcp_gateway_transport_http.fast_path.http1_client import Connection
from mcp_gateway_transport_http.fast_path.responses import ConnectionLost
from mcp_gateway_transport_http.fast_path.sse import SseParser
from mcp_gateway_transport_http.fast_path.write_batch import WriteBatch


def cut(data: bytes) -> tuple[bytes, list[bytes]]:
    """Return some data, and the same in pieces, whose lengths are its first bytes."""
    lengths, rest = data[:4], data[4:]
    pieces, at = [], 0
    for length in lengths:
        pieces.append(rest[at : at + length])
        at += length
    return rest, [*pieces, rest[at:]]


@cache
def loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def events(data: bytes) -> None:
    """A stream of events is the same in whichever pieces it comes, and as the standard has it."""
    whole, pieces = cut(data)
    stream = SseParser()
    found = [event for piece in pieces for event in stream.parse(piece)]
    assert found == list(by_the_book(whole))
    assert stream.retry_delay >= 0


def by_the_book(data: bytes) -> Iterator[bytes]:
    """Parse events in the slowest way there is (HTML standard, 9.2.6)."""
    lines = data.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    collected: list[bytes] = []
    for line in lines[:-1]:
        name, _, value = line.partition(b":")
        if name == b"data":
            collected.append(value.removeprefix(b" "))
        elif not line:
            if event := b"\n".join(collected):
                yield event
            collected = []


class Nowhere(asyncio.Transport):
    """A transport that leads nowhere."""

    closed = False

    def write(self, data: Any) -> None:
        """Forget it."""

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed


def response(data: bytes) -> None:
    """Whatever a server answers over HTTP, there is a response, a failure in words, or more to wait for."""
    asyncio.set_event_loop(loop())
    loop().run_until_complete(_response(*cut(data)))


async def _response(_: bytes, pieces: list[bytes]) -> None:
    connection = Connection(WriteBatch())
    connection.connection_made(Nowhere())
    reply = connection.request(b"POST / HTTP/1.1\r\n\r\n")
    for piece in filter(None, pieces):
        connection.data_received(piece)
    connection.connection_lost(None)
    assert reply.done()
    if error := reply.exception():
        assert isinstance(error, ConnectionLost | LimitExceeded)
        assert str(error)
