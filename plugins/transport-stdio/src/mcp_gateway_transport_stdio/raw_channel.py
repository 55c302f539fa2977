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
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCMessage, JSONRPCRequest, jsonrpc_message_adapter
from msgspec import DecodeError, Struct, json
from pydantic_core import from_json

from mcp_gateway.plugin import (
    ConnectionDropped,
    RequestNotSent,
    ServerUnavailable,
    TransportFault,
    replace_lone_surrogates,
)
from mcp_gateway_transport_stdio._sdk import TransportStreams
from mcp_gateway_transport_stdio.child.process import ChildProcess
from mcp_gateway_transport_stdio.child.stray_output import StrayOutput
from mcp_gateway_transport_stdio.framing import ENDLESS, INVALID_REQUEST, LineSplitter, OversizedLine, encode_error

log = logging.getLogger(__name__)

Incoming = SessionMessage | Exception
DoneFn = Callable[[bytes | Exception], None]
ChildFn = Callable[[LineSplitter, Callable[[], None]], AbstractAsyncContextManager[ChildProcess]]

MOST_WAITING = 1000
"""How many messages may wait for the dispatcher before the child is not read any more."""

# The SDK passes notifications on in tasks, which answers overtook in 48 of 100 calls.
_ROUNDS = 3
"""How many times around the event loop a message takes from the dispatcher to its client's stream."""


class _Envelope(Struct):
    """Envelope of a line that may be a response."""

    id: int | str | float | None = None
    method: str | None = None


_head = json.Decoder(_Envelope)

_RESPONSE = re.compile(rb'\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*(\d{1,15})\s*,\s*"(?:result|error)"\s*:')


@dataclass(slots=True)
class RawChannel:
    """A session's write stream to a child that supports raw requests."""

    _incoming: MemoryObjectSendStream[Incoming]
    _backlog: Callable[[], int]
    _stray_output: StrayOutput
    _pipes: ChildProcess | None = None
    _pending: dict[int, DoneFn] = field(default_factory=dict)
    _paused: bool = False
    _limit: int = 0
    _passed: int = 0
    _bytes: int = 0
    _answered: bytes | None = None
    _end: ServerUnavailable = field(default_factory=lambda: ConnectionDropped("it closed the connection"))

    def attach(self, pipes: ChildProcess) -> None:
        """Use these pipes."""
        self._pipes = pipes

    # -- plain requests

    async def request_raw(self, message: bytes, request_id: int, _: Mapping[str, str], seconds: float) -> bytes:
        """Send a request; return the line that answers it. See `SupportsRawRequest`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes] = loop.create_future()
        self._pending[request_id] = partial(_settle, future)
        timer = loop.call_later(seconds, _settle, future, TimeoutError())
        try:
            self._write(message)
            if self._pipes is not None:
                with anyio.fail_after(seconds):
                    await self._pipes.wait_writable()
            return await future
        except BrokenPipeError:
            raise RequestNotSent("the process has just ended") from None
        finally:
            self._pending.pop(request_id, None)
            timer.cancel()

    def request_raw_nowait(
        self,
        message: bytes,
        request_id: int,
        _: Mapping[str, str],
        seconds: float,  # noqa: ARG002  # who calls keeps the time
        done: DoneFn,
    ) -> Callable[[], None] | None:
        """Send a request, if the child reads; see `SupportsRawRequestNowait`."""
        if self._pipes is None or not self._pipes.is_writable:
            return None
        try:
            self._pipes.write(message)
        except BrokenPipeError:
            return None
        self._pending[request_id] = done
        return partial(self._forget, request_id)

    def _forget(self, request_id: int) -> None:
        self._pending.pop(request_id, None)

    def on_line(self, line: bytes) -> None:
        """Handle a line: resolve its raw request, or dispatch it."""
        line = line.removeprefix(BOM_UTF8)
        # Without raw requests under way no line is looked into.
        if self._pending and (request_id := response_id(line)) in self._pending:
            self._resolve(request_id, line, self._passed, _ROUNDS if self._backlog() else 0)
            return
        if line.strip():
            self._dispatch(line)

    def on_long_line(self, line: OversizedLine) -> None:
        """Handle an oversized message.

        It answers an oversized server request with an error, and an oversized response becomes an error to
        its caller. The id is taken from either end of the line; without one the line counts as stray output.
        """
        message = (
            f"a message of {line.size} bytes, more than the {self._limit} that GATEWAY_MAX_RESULT_BYTES lets through"
        )
        log.error("server message too large", extra={"program": self._stray_output.program, "reason": message})
        answered, self._answered = self._answered, None
        if line.id is None:
            self._stray_output.on_line(line.head)
        elif line.id == answered:
            pass
        elif line.is_request:
            with suppress(BrokenPipeError):
                self._write(encode_error(line.id, INVALID_REQUEST, message))
        else:
            self._fail(line.id, f"it answered with {message}")

    def excess(self, line: OversizedLine) -> None:
        """Answer in place of a message that is too long.

        The session ends if the message seems to have no end.
        """
        message = f"a message of more than the {self._limit} bytes that GATEWAY_MAX_RESULT_BYTES lets through"
        if line.id is not None and not line.is_request and line.id != self._answered:
            self._answered = line.id
            self._fail(line.id, f"it answered with {message}")
        if line.size > ENDLESS * self._limit:
            self._end = ServerUnavailable(f"it sent {message}, and no end of it; the process is ended")
            if self._pipes is not None:
                self._pipes.end()

    def _fail(self, request_id: bytes, reason: str) -> None:
        """Let a request fail with an error."""
        known = int(request_id) if request_id.isdigit() else -1
        if (done := self._pending.pop(known, None)) is not None:
            # Not a lost connection: the session goes on, and another try would be as long.
            done(ServerUnavailable(reason))
        else:
            self._dispatch(encode_error(request_id, TransportFault.UNREACHABLE, reason))

    def _resolve(self, request_id: int, line: bytes, before: int, rounds: int) -> None:
        """Resolve a raw request after all earlier messages.

        The dispatcher must have passed on the messages that came before.
        """
        if rounds:
            left = _ROUNDS if self._passed - self._backlog() < before else rounds - 1
            asyncio.get_running_loop().call_soon(self._resolve, request_id, line, before, left)
        elif (done := self._pending.pop(request_id, None)) is not None:
            done(line)

    def on_eof(self) -> None:
        """Take note that nothing more will come."""
        self._incoming.close()
        waiting, self._pending = list(self._pending.values()), {}
        for done in waiting:
            done(self._end)

    def _dispatch(self, line: bytes) -> None:
        try:
            message = SessionMessage(_parse_message(line))
        except ValueError:
            self._stray_output.on_line(line)
            return
        try:
            self._incoming.send_nowait(message)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            return
        self._passed, self._bytes = self._passed + 1, self._bytes + len(line)
        # By bytes, too: a thousand of the longest lines would be gigabytes.
        is_much = self._backlog() > MOST_WAITING or self._bytes > self._limit
        if is_much and not self._paused and self._pipes is not None:
            self._paused = True
            self._pipes.set_reading(please=False)

    def on_backlog_empty(self) -> None:
        """Read on once the dispatcher has caught up."""
        if self._backlog():
            return
        self._bytes = 0
        if self._paused and self._pipes is not None:
            self._paused = False
            self._pipes.set_reading(please=True)

    # -- the SDK's write stream

    async def send(self, item: SessionMessage) -> None:
        """Write a message; raise `MCPError` for an unwritten request."""
        try:
            self._write(item.message.model_dump_json(by_alias=True, exclude_unset=True).encode("utf-8", "replace"))
        except BrokenPipeError:
            # Nobody waits for an answer to a notification: the stream itself is broken.
            if not isinstance(item.message, JSONRPCRequest):
                raise anyio.BrokenResourceError from None
            message = "the process has just ended"
            raise MCPError(TransportFault.UNREACHABLE, message, {"sent": False}) from None
        if self._pipes is not None:
            await self._pipes.wait_writable()

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


class _ReadStream:
    """The SDK's read stream: what came, in order."""

    def __init__(self, stream: MemoryObjectReceiveStream[Incoming]) -> None:
        self._stream = stream
        self.wire: RawChannel | None = None

    async def receive(self) -> Incoming:
        message = await self._stream.receive()
        if self.wire is not None:
            self.wire.on_backlog_empty()
        return message

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> _ReadStream:
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
async def open_wire(child: ChildFn, noise: StrayOutput, limit: int) -> AsyncIterator[TransportStreams]:
    """Start a child, and yield its session streams.

    `noise` is given the lines that are no messages.

    A message of more than `limit` bytes is not read.
    """
    # Without a bound, since a line cannot wait: the pipe is not read beyond MOST_WAITING.
    send, receive = anyio.create_memory_object_stream[Incoming](float("inf"))
    wire = RawChannel(send, lambda: receive.statistics().current_buffer_used, noise, _limit=limit)
    incoming = _ReadStream(receive)
    incoming.wire = wire
    with send, receive:
        async with child(LineSplitter(wire.on_line, wire.on_long_line, limit, wire.excess), wire.on_eof) as pipes:
            wire.attach(pipes)
            yield incoming, wire


def response_id(line: bytes) -> int:
    """Return the id of the request that a line answers.

    -1 if it is no response. Typical servers write the id at the start, where a regular expression finds it
    without decoding the line.
    """
    if (found := _RESPONSE.match(line)) is not None:
        return int(found[1])
    try:
        head = _head.decode(replace_lone_surrogates(line))
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


def _parse_message(line: bytes) -> JSONRPCMessage:
    """Parse a message.

    `validate_json` does the same with five times as much memory, and caches strings.
    """
    parsed = from_json(replace_lone_surrogates(line).decode("utf-8", "replace"), cache_strings="keys")
    return jsonrpc_message_adapter.validate_python(parsed, by_name=False)
