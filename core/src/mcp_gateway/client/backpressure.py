"""Back-pressure on servers that send more than their clients accept.

Reading from such a server pauses for up to `WAIT_SECONDS`; after that its notifications are dropped, because the
responses behind them must get through.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import anyio
import structlog
from mcp.shared.message import SessionMessage

from mcp_gateway.client.open_requests import AnsweringStream
from mcp_gateway.protocol._sdk import ReadStream
from mcp_gateway.protocol.json_size import json_size

log = structlog.get_logger(__name__)

MAX_DELIVERIES = 200
"""How many messages of one session may be pending for clients before reading from the server pauses."""

MAX_DELIVERY_BYTES = 8 << 20
"""How many bytes the pending messages may have."""

WAIT_SECONDS = 2.0
"""How long reading pauses; then messages that clients do not accept are dropped, so that responses get through."""


@dataclass(slots=True)
class Deliveries:
    """The messages of one session that are pending for clients."""

    count: int = 0
    size: int = 0
    dropped: int = 0
    _is_waited_for: bool = True
    _room: anyio.Event = field(default_factory=anyio.Event)

    @property
    def is_full(self) -> bool:
        """Whether a limit of pending messages or bytes is reached."""
        return self.count >= MAX_DELIVERIES or self.size >= MAX_DELIVERY_BYTES

    @contextmanager
    def one(self, params: object) -> Iterator[bool]:
        """Count a message as pending; yield whether to deliver it."""
        if self.is_full and not self._is_waited_for:
            self._drop()
            yield False
            return
        size = json_size(params, MAX_DELIVERY_BYTES)
        self.count, self.size = self.count + 1, self.size + size
        try:
            yield True
        finally:
            self.count, self.size = self.count - 1, self.size - size
            if not self.is_full:
                self._is_waited_for = True
                self._room.set()

    async def room(self) -> None:
        """Wait for room, at most `WAIT_SECONDS`; then begin to drop."""
        if not self.is_full or not self._is_waited_for:
            return
        # An anyio.Event cannot be cleared, so each wait has its own.
        self._room = anyio.Event()
        with anyio.move_on_after(WAIT_SECONDS) as waiting:
            await self._room.wait()
        if waiting.cancelled_caught and self.is_full:
            self._is_waited_for = False

    def _drop(self) -> None:
        self.dropped += 1
        # Logged at powers of two only: a server that floods the session must not flood the log.
        if self.dropped & (self.dropped - 1) == 0:
            log.warning("server messages dropped", messages=self.dropped, reason="clients read too slowly")


class PacedStream:
    """A session's read stream that pauses while its clients are behind.

    It yields no message while `deliveries` is full. Each message passes `answers`, which limits the number of open
    server requests.
    """

    def __init__(
        self, stream: ReadStream[SessionMessage | Exception], deliveries: Deliveries, answers: AnsweringStream
    ) -> None:
        """Read from `stream`."""
        self._stream, self._deliveries, self._answers = stream, deliveries, answers

    @property
    def last_context(self) -> Any:
        """The context of the last received message, if the stream knows it."""
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        """Return the next message."""
        while True:
            await self._deliveries.room()
            item = await self._stream.receive()
            if await self._answers.admit(item):
                return item

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()

    def __aiter__(self) -> Self:
        """Iterate over the messages."""
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        """Return the next message."""
        while True:
            await self._deliveries.room()
            item = await anext(self._stream)
            if await self._answers.admit(item):
                return item

    async def __aenter__(self) -> Self:
        """Enter the stream."""
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> bool | None:
        """Leave the stream."""
        return await self._stream.__aexit__(exc_type, exc_val, exc_tb)
