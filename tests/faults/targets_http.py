"""What comes over HTTP: events and responses, in whichever pieces they come."""

# that a refusal has words is asserted where it is caught

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import cache
from typing import Any

from mcp_gateway_transport_http.client.carriers.carrier import HttpRequest, ResponseReceiver
from mcp_gateway_transport_http.client.carriers.http1_connection import Connection
from mcp_gateway_transport_http.client.drop_counter import DropCounter
from mcp_gateway_transport_http.client.exchange import Link
from mcp_gateway_transport_http.client.request_exchange import RequestExchange
from mcp_gateway_transport_http.client.request_target import Endpoint
from mcp_gateway_transport_http.client.responses.sse import SseParser
from mcp_gateway_transport_http.client.session import HttpSession
from mcp_gateway_transport_http.http1.write_batch import WriteBatch


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
    lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
    collected: list[bytes] = []
    kind = b""
    for line in lines[:-1]:
        name, _, value = line.partition(b":")
        if name == b"data":
            collected.append(value.removeprefix(b" "))
        elif name == b"event":
            kind = value.removeprefix(b" ")
        elif not line:
            if (event := b"\n".join(collected)) and kind in (b"", b"message"):
                yield event
            collected, kind = [], b""


class Nowhere(asyncio.Transport):
    """A transport that leads nowhere."""

    closed = False

    def write(self, data: Any) -> None:
        """Forget it."""

    def get_write_buffer_size(self) -> int:
        """Nothing waits: all is forgotten at once."""
        return 0

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed


def response(data: bytes) -> None:
    """Whatever a server answers over HTTP, there is a response, a failure in words, or more to wait for."""
    asyncio.set_event_loop(loop())
    loop().run_until_complete(_response(*cut(data)))


class Heard:
    """What becomes of the request."""

    def __init__(self) -> None:
        self.outcomes: list[bytes | Exception] = []

    def on_message(self, message: bytes) -> None:
        """Take note that it comes before the response."""
        assert self.outcomes == []
        assert message

    def on_response(self, response: bytes) -> None:
        """Take note of the response."""
        self.outcomes.append(response)

    def on_failure(self, error: Exception) -> None:
        """Take note that there is none."""
        self.outcomes.append(error)


class OneConnection:
    """A carrier with one connection, which leads nowhere."""

    def __init__(self) -> None:
        self.connection = Connection(WriteBatch(), lambda _: None)
        self.connection.connection_made(Nowhere())

    def send(self, request: HttpRequest, receiver: ResponseReceiver) -> Connection:
        """Send a request that nobody gets."""
        self.connection.send(request.encode(), receiver)
        return self.connection

    async def aclose(self) -> None:
        """Do nothing."""


async def _response(_: bytes, pieces: list[bytes]) -> None:
    carrier, heard = OneConnection(), Heard()
    link = Link(HttpSession(Endpoint.of("http://127.0.0.1/mcp"), {}), carrier, 1 << 20)
    exchange = RequestExchange(link, 5, heard, DropCounter("fuzz"), lambda _: None)
    exchange.begin(b'{"jsonrpc":"2.0","id":5,"method":"tools/call"}', {})
    connection = carrier.connection
    for piece in filter(None, pieces):
        connection.data_received(piece)
    connection.connection_lost(None)
    await asyncio.sleep(0)
    waits = exchange._timer is not None or exchange._is_turn_over
    assert len(heard.outcomes) == (0 if waits and not heard.outcomes else 1)
    assert connection._outbox.requests_in_flight == 0
    exchange.abandon()
