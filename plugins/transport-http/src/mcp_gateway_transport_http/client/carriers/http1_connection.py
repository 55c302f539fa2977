"""A thin HTTP/1.1 connection to a server.

Bytes go out, a parsed response comes in.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from mcp_gateway.plugin import CLIENT_CERTIFICATE_HINT, explain_tls_error
from mcp_gateway_transport_http.client.carriers.carrier import (
    ConnectionLost,
    ResponseHead,
    ResponseReceiver,
)
from mcp_gateway_transport_http.client.carriers.response_parser import ResponseParser
from mcp_gateway_transport_http.client.responses.limits import LimitExceeded
from mcp_gateway_transport_http.http1.header_cache import Head
from mcp_gateway_transport_http.http1.write_batch import WriteBatch

_CLOSED = "it closed the connection without an answer"
_IN_THE_MIDDLE = "the connection broke in the middle of its answer"


@dataclass(frozen=True, slots=True)
class _CachedHead:
    """A cached response header block, and what its fields say.

    They were read from exactly these bytes.
    """

    block: Head
    head: ResponseHead


class Connection(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self, outbox: WriteBatch, on_idle: Callable[[Connection], None]) -> None:
        """Begin unconnected, with the outbox by which it sends.

        `on_idle` hears when it is released.
        """
        self._outbox, self._on_idle = outbox, on_idle
        self.used = 0.0
        self.is_complete = True
        self._is_secure = False
        self._is_written = self._is_awaited = self._is_told = self._is_paused = False
        self._transport: asyncio.Transport | None = None
        self._receiver: ResponseReceiver | None = None
        self._parser = ResponseParser()
        self._is_parsed = False
        self._cached_head: _CachedHead | None = None
        self._poll: select.poll | None = None
        self._outgoing: select.poll | None = None

    def is_open(self) -> bool:
        """Whether another request can be sent."""
        return self.is_complete and self._transport is not None and not self._transport.is_closing()

    def is_quiet(self) -> bool:
        """Whether there is nothing to be read.

        What an unused connection has to say is that it ends.
        """
        return self._poll is None or not self._poll.poll(0)

    def send(self, message: bytes, receiver: ResponseReceiver) -> None:
        """Send a request; `receiver` hears what comes of it."""
        self._receiver = receiver
        self.is_complete = self._is_written = self._is_told = self._is_parsed = False
        self._is_awaited = True
        self._outbox.requests_in_flight += 1
        if self._transport is None:
            asyncio.get_running_loop().call_soon(self._fail, "it closed the connection")
        else:
            self._outbox.write(self, message)

    def write(self, data: bytes) -> None:
        """Write a request; the outbox calls this when it is its turn."""
        if self._transport is not None:
            self._is_written = True
            self._transport.write(data)

    def is_closing(self) -> bool:
        """Whether nothing can be written any more."""
        return self._transport is None or self._transport.is_closing()

    def close(self) -> None:
        """Close, whatever is under way, without a callback."""
        self._receiver = None
        self._settle()
        self._abort()

    def release(self) -> None:
        """Offer the connection for another request.

        If the response came before all of the request was written, nobody may ever read the rest: then it closes.
        """
        self._receiver = None
        if self._holds_back():
            self._abort()
        if self._is_paused:
            self.set_reading_paused(paused=False)
        self._on_idle(self)

    def set_reading_paused(self, *, paused: bool) -> None:
        """Stop reading from the server, or go on."""
        self._is_paused = paused
        if self._transport is not None and not self._transport.is_closing():
            with suppress(RuntimeError):  # it has just closed, or is not read already
                (self._transport.pause_reading if paused else self._transport.resume_reading)()

    # -- what the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._is_secure = transport.get_extra_info("sslcontext") is not None
        opened = transport.get_extra_info("socket")
        if opened is not None and hasattr(select, "poll"):
            # The event loop hears of the end of an idle connection a moment too late.
            self._poll = select.poll()
            self._poll.register(opened.fileno(), select.POLLIN)
            if self._is_secure:
                # Over TLS, a transport knows nothing of what the one below it has not sent.
                self._outgoing = select.poll()
                self._outgoing.register(opened.fileno(), select.POLLOUT)

    def data_received(self, data: bytes) -> None:
        """Handle received bytes: match the cached head, else parse.

        After a match only the body is read.
        """
        if self.is_complete:
            # What follows a response must not be taken for the response to the next request.
            self._abort()
            return
        self._settle()
        known = None if self._is_parsed else self._cached_head
        if known is not None and (start := known.block.body_offset(data)):
            self.is_complete = True
            self._tell(known.head, [data[start:]])
        else:
            self._parse(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that nothing more will come.

        A response without a length ends so; the parser has no call for that.
        """
        self._transport = None
        self._parser.close()
        head = self._parser.head if self._is_parsed else None
        if head is not None and head.ends_with_connection and exc is None and not self.is_complete:
            self.is_complete = True
            self._tell(head, [])
        elif head is None and exc is not None and (tls := explain_tls_error(exc, is_open=True)) is not None:
            self._fail(ConnectionLost(tls, was_written=self._is_written, is_permanent=True))
        else:
            self._fail(self._describe_end() if head is None else _IN_THE_MIDDLE)

    # --

    def _parse(self, data: bytes) -> None:
        parser, is_first = self._parser, not self._is_parsed
        if is_first:
            self._is_parsed = True
            parser.begin()
        parser.feed(data)
        if parser.is_complete:
            self.is_complete = True
            block = parser.find_cacheable(data) if is_first else None
            self._cached_head = None if block is None or parser.head is None else _CachedHead(block, parser.head)
            if not parser.keeps_alive and self._transport is not None:
                self._transport.close()
        if parser.head is not None:
            pieces, parser.pieces = parser.pieces, []
            self._tell(parser.head, pieces)
        # What came before is told first.
        if parser.broken is not None:
            self._fail(parser.broken)
        if parser.broken is not None or parser.has_more:
            self._abort()

    def _tell(self, head: ResponseHead, pieces: list[bytes]) -> None:
        """Tell the receiver what has been parsed.

        It may close the connection meanwhile: then it hears nothing more.
        """
        if not self._is_told and self._receiver is not None:
            self._is_told = True
            self._receiver.on_head(head)
        if pieces and self._receiver is not None:
            self._receiver.on_body(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if self.is_complete and self._receiver is not None:
            receiver, self._receiver = self._receiver, None
            receiver.on_end()

    def _holds_back(self) -> bool:
        """Whether part of what was written has not been sent."""
        if self._outgoing is not None:
            return not self._outgoing.poll(0)
        return self._transport is not None and self._transport.get_write_buffer_size() > 0

    def _settle(self) -> None:
        """Count the request out of those that wait for a response."""
        if self._is_awaited:
            self._is_awaited = False
            self._outbox.requests_in_flight -= 1

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, reason: str | ConnectionLost | LimitExceeded) -> None:
        self._settle()
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.on_lost(self._lost(reason) if isinstance(reason, str) else reason)

    def _describe_end(self) -> str:
        return f"{_CLOSED}{CLIENT_CERTIFICATE_HINT}" if self._is_secure and not self.used else _CLOSED

    def _lost(self, reason: str) -> ConnectionLost:
        return ConnectionLost(reason, was_written=self._is_written)
