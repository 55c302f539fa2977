"""Back-pressure on servers that send more than their clients take.

Such a server is not read for a moment, and what it sends after that is not passed on.
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
"""How many messages of one session may be on their way to clients before the server is not read any more."""

MAX_DELIVERY_BYTES = 8 << 20
"""How much they may have."""

WAIT_SECONDS = 2.0
"""How long a server is not read; then what its clients do not take is dropped, for its answers must come through."""


@dataclass(slots=True)
class Deliveries:
    """What is on its way from one session to clients."""

    count: int = 0
    size: int = 0
    dropped: int = 0
    _is_waited_for: bool = True
    _room: anyio.Event = field(default_factory=anyio.Event)

    @property
    def is_full(self) -> bool:
        """Whether there is as much on its way as may be."""
        return self.count >= MAX_DELIVERIES or self.size >= MAX_DELIVERY_BYTES

    @contextmanager
    def one(self, params: object) -> Iterator[bool]:
        """Be on the way inside; say whether it is to be delivered."""
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
        """Wait until something can be delivered, but not for ever."""
        if not self.is_full or not self._is_waited_for:
            return
        # An event of anyio's cannot be cleared: each wait has one of its own.
        self._room = anyio.Event()
        with anyio.move_on_after(WAIT_SECONDS) as waiting:
            await self._room.wait()
        if waiting.cancelled_caught and self.is_full:
            self._is_waited_for = False

    def _drop(self) -> None:
        self.dropped += 1
        # At powers of two only: what floods the session must not flood the log.
        if self.dropped & (self.dropped - 1) == 0:
            log.warning("clients do not take what a server tells them; it is dropped", messages=self.dropped)


class PacedStream:
    """A session's read stream that pauses while its clients are behind.

    It gives no message while too much of what came before is on its way to clients.

    What the server asks goes by `answers`, which lets only so many questions in.
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
