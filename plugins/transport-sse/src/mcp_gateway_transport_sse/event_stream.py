"""The events of a session's stream, bounded and mended for the SDK.

The SDK reads events up to 1 MiB and drops messages that its models do not accept, and with them the responses that
somebody waits for. So what it cannot read is kept here beside a stand-in, in the order of the stream.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

import httpx2

from mcp_gateway.plugin import replace_lone_surrogates, to_line

MAX_SDK_BYTES = 1_000_000
"""The longest event that the SDK gets; it refuses those over 1 MiB."""

_STAND_IN = b'{"jsonrpc":"2.0","method":"notifications/message"}'
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class EventTooLong(Exception):
    """An event over the limit of messages."""


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event: its type and its data."""

    kind: str
    data: bytes


class EventSplitter:
    """Splits a stream into events, in linear time and bounded memory."""

    def __init__(self, max_bytes: int) -> None:
        """Begin before the first event."""
        self._max_bytes = max_bytes
        self._line = bytearray()
        self._data = bytearray()
        self._has_data = self._skips_line_feed = False
        self._kind = ""
        self._is_first = True

    def split(self, piece: bytes) -> Iterator[Event]:
        """Yield the events that a piece completes.

        Raises:
            EventTooLong: an event is over the limit, whether or not it is complete.

        """
        # A carriage return and a line feed may come in two pieces.
        if self._skips_line_feed and piece.startswith(b"\n"):
            piece = piece[1:]
        self._skips_line_feed = piece.endswith(b"\r")
        for line in piece.splitlines(keepends=True):
            self._line += line
            if len(self._line) + len(self._data) > self._max_bytes:
                raise EventTooLong
            if line.endswith((b"\r", b"\n")):
                whole, self._line = bytes(self._line).rstrip(b"\r\n"), bytearray()
                if (event := self._read_line(whole)) is not None:
                    yield event

    def _read_line(self, line: bytes) -> Event | None:
        if self._is_first:
            self._is_first = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            event = Event(self._kind or "message", bytes(self._data)) if self._has_data else None
            self._data, self._has_data, self._kind = bytearray(), False, ""
            return event
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            self._kind = value.decode(errors="replace")
        elif name == b"data":
            self._data += b"\n" + value if self._has_data else value
            self._has_data = True
        return None


@dataclass(frozen=True, slots=True)
class Received:
    """A message as it came.

    `is_kept` if the SDK got a stand-in for it.
    """

    data: bytes
    is_kept: bool


@dataclass(slots=True)
class SessionEvents:
    """What becomes of a session's stream.

    `resolve_endpoint` turns the data of an endpoint event into what the SDK may know of it. `failure` is why the stream
    has ended, if the server did not simply end it. `received` has the messages that the SDK is reading.
    """

    max_bytes: int
    resolve_endpoint: Callable[[str], str]
    received: deque[Received] = field(default_factory=deque)
    failure: Exception | None = None
    _has_endpoint: bool = False

    async def mend(
        self, pieces: AsyncIterator[bytes], explain: Callable[[Exception], Exception]
    ) -> AsyncIterator[bytes]:
        """Yield the events of a stream as the SDK can read them.

        It never raises: the SDK would hang before the endpoint has come. It ends instead, with a `failure`.
        """
        splitter = EventSplitter(self.max_bytes)
        try:
            async for piece in pieces:
                for event in splitter.split(piece):
                    if mended := self._mend_event(event):
                        yield mended
        except Exception as error:  # noqa: BLE001  # a border with foreign code
            self.failure = explain(error)

    def _mend_event(self, event: Event) -> bytes:
        if event.kind == "endpoint":
            # Messages go where the first one says, for as long as the session lasts.
            if self._has_endpoint:
                return b""
            self._has_endpoint = True
            return (
                b"event: endpoint\ndata: %b\n\n" % self.resolve_endpoint(event.data.decode(errors="replace")).encode()
            )
        if event.kind != "message" or not event.data.strip() or not self._has_endpoint:
            return b""
        data = replace_lone_surrogates(to_line(event.data))
        received = Received(data, is_kept=len(data) > MAX_SDK_BYTES)
        self.received.append(received)
        return b"event: message\ndata: %b\n\n" % (_STAND_IN if received.is_kept else data)


class MendedStream(httpx2.AsyncByteStream):
    """The body that the SDK reads in the response's place."""

    def __init__(
        self, response: httpx2.Response, events: SessionEvents, explain: Callable[[Exception], Exception]
    ) -> None:
        """Read a response's body through `events`."""
        self._response, self._events, self._explain = response, events, explain

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over mended events."""
        return self._events.mend(self._response.aiter_raw(), self._explain)

    async def aclose(self) -> None:
        """Close the response's own body."""
        await self._response.aclose()
