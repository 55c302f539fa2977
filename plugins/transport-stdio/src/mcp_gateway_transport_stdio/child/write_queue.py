"""Messages that wait until a child reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from mcp_gateway.plugin import RequestNotSent

MAX_MESSAGES = 1000
"""How many messages may wait for a child that does not read."""


class Pipe(Protocol):
    """The input of a child."""

    @property
    def is_congested(self) -> bool:
        """Whether the child has still to read most of what was written."""
        ...

    def write(self, line: bytes) -> None:
        """Write a message, or raise `BrokenPipeError`."""
        ...


@dataclass(frozen=True, slots=True)
class Unwritten:
    """A message that waits, with what hears of its outcome."""

    message: bytes
    on_written: Callable[[], None]
    on_failure: Callable[[Exception], None]


@dataclass(slots=True)
class WriteQueue:
    """A bounded queue: a message that is removed is never written."""

    max_bytes: int
    _messages: dict[object, Unwritten] = field(default_factory=dict)
    _bytes: int = 0

    def has_room(self, message: bytes) -> bool:
        """Whether the message may wait; a single one always may."""
        is_small = self._bytes + len(message) <= self.max_bytes
        return not self._messages or (len(self._messages) < MAX_MESSAGES and is_small)

    def put(self, key: object, unwritten: Unwritten) -> None:
        """Append a message."""
        self._messages[key] = unwritten
        self._bytes += len(unwritten.message)

    async def wait_written(self, message: bytes) -> None:
        """Append a message, and wait until it is written.

        There is no bound: its sender waits.

        Raises:
            RequestNotSent: the process ended before.

        """
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.put(written, Unwritten(message, partial(_settle, written), partial(_settle, written)))
        try:
            await written
        finally:
            self.remove(written)

    def remove(self, key: object) -> Unwritten | None:
        """Remove a message; None if it does not wait."""
        if (unwritten := self._messages.pop(key, None)) is not None:
            self._bytes -= len(unwritten.message)
        return unwritten

    def flush(self, pipe: Pipe) -> None:
        """Write what waits, in order, as long as the child reads."""
        while self._messages and not pipe.is_congested:
            unwritten = self._pop_first()
            try:
                pipe.write(unwritten.message)
            except BrokenPipeError:
                unwritten.on_failure(RequestNotSent("the process has just ended"))
            else:
                unwritten.on_written()

    def clear(self) -> None:
        """Fail what waits: there is no child any more."""
        while self._messages:
            self._pop_first().on_failure(RequestNotSent("the process ended before it read the request"))

    def _pop_first(self) -> Unwritten:
        key = next(iter(self._messages))
        unwritten = self._messages.pop(key)
        self._bytes -= len(unwritten.message)
        return unwritten


def _settle(written: asyncio.Future[None], error: Exception | None = None) -> None:
    if written.done():  # its sender is about to leave
        return
    if error is None:
        written.set_result(None)
    else:
        written.set_exception(error)
