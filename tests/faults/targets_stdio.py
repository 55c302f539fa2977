"""What child processes and clients write to pipes, and what must hold whatever it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from mcp_gateway_transport_stdio.child.channel import ChildChannel
from mcp_gateway_transport_stdio.child.envelope import match_response, parse_message
from mcp_gateway_transport_stdio.child.stray_output import StrayOutput
from mcp_gateway_transport_stdio.server_io import StdioServerProtocol

from mcp_gateway.plugin import Principal, RawResponse, ResponseWriter

from .targets_http import Nowhere, cut, loop

LIMIT = 1000
"""How many bytes a message may have here."""


class Handler:
    """Keeps what becomes of a request."""

    def __init__(self, heard: list[object]) -> None:
        self.heard, self.outcomes = heard, 0

    def on_message(self, message: bytes) -> None:
        raise AssertionError(message)

    def on_response(self, response: bytes) -> None:
        self.heard.append(response)
        self.outcomes += 1

    def on_failure(self, error: Exception) -> None:
        assert str(error)
        self.outcomes += 1


class Child:
    """A child that is only written to."""

    closed = is_congested = False

    def write(self, line: bytes) -> None:
        assert isinstance(json.loads(line), dict)

    def set_reading_paused(self, *, paused: bool) -> None:
        assert not paused

    def end(self) -> None:
        self.closed = True


def child_output(data: bytes) -> None:
    """Each request has one outcome at most, and what is heard does not depend on the pieces that it comes in."""
    whole, pieces = cut(data)
    assert hear([whole]) == hear(pieces)


def hear(pieces: list[bytes]) -> list[object]:
    heard: list[object] = []
    channel = ChildChannel(StrayOutput("child"), LIMIT)
    channel.attach(Child())  # type: ignore[arg-type]  # as much of a child as is needed
    channel.start(heard.append, lambda: None)
    handlers = [Handler(heard) for _ in range(2)]
    for number, handler in enumerate(handlers, 1):
        channel.request(b"{}", number, {}, handler)
    for piece in pieces:
        channel.lines.feed(piece)
    channel.on_eof()
    channel.on_end()
    assert [handler.outcomes for handler in handlers] == [1, 1]
    return heard


def child_line(data: bytes) -> None:
    """What is known of a line by its ends is the same when it is parsed, and not a byte of it changes."""
    line = data.strip()
    message, usual = parse_message(line), match_response(line)
    if message is not None:
        assert message.content in line
    members = load_object(line)
    if usual is not None and members is not None and "method" not in members:
        assert message is not None
        assert message.answered_id == usual


def load_object(line: bytes) -> dict[str, Any] | None:
    """Read an object whose members have different names; None if it is none."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError(line)
        return dict(pairs)

    try:
        found = json.loads(line, object_pairs_hook=members)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


class Echo:
    """A server that answers each object with itself; what is none is for the SDK."""

    def dispatch_raw(
        self, message: bytes, _headers: Mapping[str, str] | None, _principal: Principal | None, writer: ResponseWriter
    ) -> Callable[[], None] | None:
        """Answer in the next turn of the event loop."""
        if not message.startswith(b"{"):
            return None
        return asyncio.get_running_loop().call_soon(writer.finish, RawResponse(message)).cancel


class Output(Nowhere):
    """A pipe that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()

    def write(self, data: Any) -> None:
        """Keep it."""
        self.written += data

    def get_write_buffer_size(self) -> int:
        """Return that all was read."""
        return 0


def client_lines(data: bytes) -> None:
    """Each message of a client is answered or left to the SDK, in whichever pieces it comes."""
    asyncio.set_event_loop(loop())
    whole, pieces = cut(data)
    first, second = (loop().run_until_complete(exchange_lines(sent)) for sent in ([whole], pieces))
    assert first == second


async def exchange_lines(pieces: list[bytes]) -> tuple[list[bytes], list[str]]:
    """Return the lines that the client gets, sorted, and those that are left to the SDK."""
    protocol, output = StdioServerProtocol(lambda _: None, LIMIT), Output()
    protocol.output.connection_made(output)
    protocol.set_server(Echo())
    for piece in filter(None, pieces):
        protocol.data_received(piece)
        await asyncio.sleep(0)
    protocol.eof_received()
    protocol.connection_lost(None)
    await asyncio.sleep(0)
    assert protocol.in_flight == 0
    left = [line async for line in protocol]
    protocol.close()
    answers = bytes(output.written).split(b"\n")
    assert answers.pop() == b""
    return sorted(answers), left
