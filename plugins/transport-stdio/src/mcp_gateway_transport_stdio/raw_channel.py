"""Raw request channel to a child process.

Messages go to the SDK's dispatcher; raw requests bypass it.
"""

from __future__ import annotations

import asyncio
import logging
import re
from codecs import BOM_UTF8
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Self

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client._transport import TransportStreams
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCMessage, JSONRPCRequest, jsonrpc_message_adapter
from msgspec import DecodeError, Struct, json
from pydantic_core import from_json

from mcp_gateway.plugin import ConnectionDropped, NotSent, ServerUnavailable, TransportFault, mended
from mcp_gateway_transport_stdio.child_process import Pipes
from mcp_gateway_transport_stdio.framing import ENDLESS, INVALID_REQUEST, Lines, LongLine, error_line
from mcp_gateway_transport_stdio.stray_output import Noise

log = logging.getLogger(__name__)

Incoming = SessionMessage | Exception
DoneFn = Callable[[bytes | Exception], None]
ChildFn = Callable[[Lines, Callable[[], None]], AbstractAsyncContextManager[Pipes]]

MOST_WAITING = 1000
"""How many messages may wait for the dispatcher before the child is not read any more."""

_ROUNDS = 3
"""How many times around the event loop a message takes from the dispatcher to its client's stream."""


class _Head(Struct):
    """Envelope of a line that may be a response."""

    id: int | str | float | None = None
    method: str | None = None


_head = json.Decoder(_Head)

_RESPONSE = re.compile(rb'\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*(\d{1,15})\s*,\s*"(?:result|error)"\s*:')


@dataclass(slots=True)
class Wire:
    """A session's write stream to a child that supports raw requests."""

    _incoming: MemoryObjectSendStream[Incoming]
    _backlog: Callable[[], int]
    _noise: Noise
    _pipes: Pipes | None = None
    _waiting: dict[int, DoneFn] = field(default_factory=dict)
    _paused: bool = False
    _limit: int = 0
    _passed: int = 0
    _bytes: int = 0
    _answered: bytes | None = None
    _end: ServerUnavailable = field(default_factory=lambda: ConnectionDropped("it closed the connection"))

    def begin(self, pipes: Pipes) -> None:
        """Use these pipes."""
        self._pipes = pipes

    # -- plain requests

    async def exchange(self, message: bytes, request_id: int, _: Mapping[str, str], seconds: float) -> bytes:
        """Send a request; return the line that answers it. See `DirectWire`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes] = loop.create_future()
        self._waiting[request_id] = partial(_settle, future)
        timer = loop.call_later(seconds, _settle, future, TimeoutError())
        try:
            self._write(message)
            if self._pipes is not None:
                with anyio.fail_after(seconds):
                    await self._pipes.writable()
            return await future
        except BrokenPipeError:
            raise NotSent("the process has just ended") from None
        finally:
            self._waiting.pop(request_id, None)
            timer.cancel()

    def send_now(
        self,
        message: bytes,
        request_id: int,
        _: Mapping[str, str],
        seconds: float,  # noqa: ARG002  # who calls keeps the time
        done: DoneFn,
    ) -> Callable[[], None] | None:
        """Send a request, if the child reads; see `PromptWire`."""
        if self._pipes is None or not self._pipes.is_writable:
            return None
        try:
            self._pipes.write(message)
        except BrokenPipeError:
            return None
        self._waiting[request_id] = done
        return partial(self._forget, request_id)

    def _forget(self, request_id: int) -> None:
        self._waiting.pop(request_id, None)

    def heard(self, line: bytes) -> None:
        """Handle a line: resolve its raw request, or dispatch it."""
        line = line.removeprefix(BOM_UTF8)
        if self._waiting and (request_id := answers(line)) in self._waiting:
            self._resolve(request_id, line, self._passed, _ROUNDS if self._backlog() else 0)
            return
        if line.strip():
            self._pass_on(line)

    def too_long(self, line: LongLine) -> None:
        """Handle an oversized message.

        It answers an oversized server request with an error, and an oversized response becomes an error to
        its caller. The id is taken from either end of the line; without one the line counts as stray output.
        """
        said = f"a message of {line.size} bytes, more than the {self._limit} that GATEWAY_MAX_RESULT_BYTES lets through"
        log.error("%s sent %s", self._noise.program, said)
        answered, self._answered = self._answered, None
        if line.id is None:
            self._noise.heard(line.head)
        elif line.id == answered:
            pass
        elif line.asks:
            with suppress(BrokenPipeError):
                self._write(error_line(line.id, INVALID_REQUEST, said))
        else:
            self._fail(line.id, f"it answered with {said}")

    def excess(self, line: LongLine) -> None:
        """Answer in place of a message that is too long already; end the session if it seems to have no end."""
        said = f"a message of more than the {self._limit} bytes that GATEWAY_MAX_RESULT_BYTES lets through"
        if line.id is not None and not line.asks and line.id != self._answered:
            self._answered = line.id
            self._fail(line.id, f"it answered with {said}")
        if line.size > ENDLESS * self._limit:
            self._end = ServerUnavailable(f"it sent {said}, and no end of it; the process is ended")
            if self._pipes is not None:
                self._pipes.end()

    def _fail(self, request_id: bytes, said: str) -> None:
        """Let a request fail, whoever waits for it."""
        known = int(request_id) if request_id.isdigit() else -1
        if (done := self._waiting.pop(known, None)) is not None:
            done(ServerUnavailable(said))
        else:
            self._pass_on(error_line(request_id, TransportFault.UNREACHABLE, said))

    def _resolve(self, request_id: int, line: bytes, before: int, rounds: int) -> None:
        """Resolve a raw request after all earlier messages.

        The dispatcher must have passed on the messages that came before.
        """
        if rounds:
            left = _ROUNDS if self._passed - self._backlog() < before else rounds - 1
            asyncio.get_running_loop().call_soon(self._resolve, request_id, line, before, left)
        elif (done := self._waiting.pop(request_id, None)) is not None:
            done(line)

    def ended(self) -> None:
        """Take note that nothing more will come."""
        self._incoming.close()
        waiting, self._waiting = list(self._waiting.values()), {}
        for done in waiting:
            done(self._end)

    def _pass_on(self, line: bytes) -> None:
        try:
            message = SessionMessage(_read(line))
        except ValueError:
            self._noise.heard(line)
            return
        try:
            self._incoming.send_nowait(message)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            return
        self._passed, self._bytes = self._passed + 1, self._bytes + len(line)
        is_much = self._backlog() > MOST_WAITING or self._bytes > self._limit
        if is_much and not self._paused and self._pipes is not None:
            self._paused = True
            self._pipes.read_on(please=False)

    def taken(self) -> None:
        """Read on once the dispatcher has caught up."""
        if self._backlog():
            return
        self._bytes = 0
        if self._paused and self._pipes is not None:
            self._paused = False
            self._pipes.read_on(please=True)

    # -- the SDK's write stream

    async def send(self, item: SessionMessage) -> None:
        """Write a message; of a request that was not written it is said so (`MCPError`)."""
        try:
            self._write(item.message.model_dump_json(by_alias=True, exclude_unset=True).encode("utf-8", "replace"))
        except BrokenPipeError:
            if not isinstance(item.message, JSONRPCRequest):
                raise anyio.BrokenResourceError from None
            said = "the process has just ended"
            raise MCPError(TransportFault.UNREACHABLE, said, {"sent": False}) from None
        if self._pipes is not None:
            await self._pipes.writable()

    async def aclose(self) -> None:
        """Do nothing: the owner of the process stops it."""

    async def __aenter__(self) -> Self:
        """Enter as the SDK's streams can be entered."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave; see `aclose`."""

    def _write(self, line: bytes) -> None:
        if self._pipes is None:
            raise BrokenPipeError
        self._pipes.write(line)


class _Incoming:
    """The SDK's read stream: what came, in order."""

    def __init__(self, stream: MemoryObjectReceiveStream[Incoming]) -> None:
        self._stream = stream
        self.wire: Wire | None = None

    async def receive(self) -> Incoming:
        message = await self._stream.receive()
        if self.wire is not None:
            self.wire.taken()
        return message

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> _Incoming:
        return self

    async def __anext__(self) -> Incoming:
        try:
            return await self.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


@asynccontextmanager
async def wired(child: ChildFn, noise: Noise, limit: int) -> AsyncIterator[TransportStreams]:
    """Start a child, and yield its session streams.

    `noise` is given the lines that are no messages.

    A message of more than `limit` bytes is not read.
    """
    send, receive = anyio.create_memory_object_stream[Incoming](float("inf"))
    wire = Wire(send, lambda: receive.statistics().current_buffer_used, noise, _limit=limit)
    incoming = _Incoming(receive)
    incoming.wire = wire
    with send, receive:
        async with child(Lines(wire.heard, wire.too_long, limit, wire.excess), wire.ended) as pipes:
            wire.begin(pipes)
            yield incoming, wire


def answers(line: bytes) -> int:
    """Return the id of the request that a line answers.

    -1 if it is no response. Typical servers write the id at the start, where a regular expression finds it
    without decoding the line.
    """
    if (found := _RESPONSE.match(line)) is not None:
        return int(found[1])
    try:
        head = _head.decode(mended(line))
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return -1
    return head.id if isinstance(head.id, int) and head.method is None else -1


def _settle(future: asyncio.Future[bytes], outcome: bytes | Exception) -> None:
    if future.done():
        return
    if isinstance(outcome, bytes):
        future.set_result(outcome)
    else:
        future.set_exception(outcome)


def _read(line: bytes) -> JSONRPCMessage:
    """Parse a message.

    `validate_json` does the same with five times as much memory, and caches strings.
    """
    said = from_json(mended(line).decode("utf-8", "replace"), cache_strings="keys")
    return jsonrpc_message_adapter.validate_python(said, by_name=False)
