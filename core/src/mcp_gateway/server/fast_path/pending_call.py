"""Raw call in progress.

It starts at once without a task where that is possible, else it is awaited in one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from mcp_gateway.plugin import DirectAnswer
from mcp_gateway.server.fast_path.codec import Plain, failed
from mcp_gateway.sessions.raw_call import HeardFn, Sending

log = structlog.get_logger(__name__)

BY_CLIENT = "cancelled by the client"

Key = tuple[str, object]
"""A client, and the id of its request."""


class Lane(Protocol):
    """The steps of a raw call, from request to encoded response."""

    under_way: dict[Key, Calling]

    def sent(self, plain: Plain, heard: HeardFn) -> Sending | None:
        """Send a call at once, or do nothing."""
        ...

    def shaped(self, plain: Plain, response: bytes) -> DirectAnswer | None:
        """Encode a response, or return None if that needs awaiting."""
        ...

    async def concluded(self, plain: Plain, response: Awaitable[bytes]) -> DirectAnswer:
        """Wait for a response, and make an answer of it."""
        ...

    async def answered(self, plain: Plain) -> DirectAnswer:
        """Do all that a call needs."""
        ...

    def run(self, work: Awaitable[None]) -> asyncio.Task[None]:
        """Do something in a task of its own."""
        ...


@dataclass(slots=True, eq=False)
class Calling:
    """A pending raw call that implements `SupportsStart`.

    A call with a `key` may be cancelled by its client.
    """

    lane: Lane
    plain: Plain
    key: Key | None
    _done: Callable[[DirectAnswer], None] = field(init=False, repr=False)
    _sending: Sending | None = None
    _task: asyncio.Task[Any] | None = None

    def begin(self, done: Callable[[DirectAnswer], None]) -> bool:
        """Begin at once, if nothing has to be waited for first."""
        self._done = done
        self._sending = self.lane.sent(self.plain, self._heard)
        if self._sending is None:
            return False
        if self.key is not None:
            self.lane.under_way[self.key] = self
        return True

    def cancel(self, msg: object = None) -> None:
        """Give up what was begun."""
        self._over()
        if self._sending is not None:
            sending, self._sending = self._sending, None
            self.lane.run(sending.cancel())
        elif self._task is not None:
            self._task.cancel(msg)

    def withdraw(self) -> None:
        """Cancel at the client's request, with an empty response."""
        begun = self._sending is not None
        self.cancel(BY_CLIENT)
        if begun:
            self._done(DirectAnswer(b""))

    def __await__(self) -> Generator[Any, Any, DirectAnswer]:
        """Wait for the answer in a task."""
        return self._awaited().__await__()

    async def _awaited(self) -> DirectAnswer:
        self._task = asyncio.current_task()
        if self.key is not None:
            self.lane.under_way[self.key] = self
        return await self._unless_withdrawn(self.lane.answered(self.plain))

    async def _unless_withdrawn(self, answering: Awaitable[DirectAnswer]) -> DirectAnswer:
        try:
            return await answering
        except asyncio.CancelledError as cancelled:
            if self._task is None or cancelled.args != (BY_CLIENT,):
                raise
            self._task.uncancel()
            return DirectAnswer(b"")
        finally:
            self._over()

    def _over(self) -> None:
        if self.key is not None and self.lane.under_way.get(self.key) is self:
            del self.lane.under_way[self.key]

    def _heard(self, response: bytes | Awaitable[bytes]) -> None:
        self._sending = None
        answer = self._shaped(response) if isinstance(response, bytes) else None
        if answer is None:
            self._task = self.lane.run(self._later(_ready(response) if isinstance(response, bytes) else response))
        else:
            self._over()
            self._done(answer)

    def _shaped(self, response: bytes) -> DirectAnswer | None:
        try:
            return self.lane.shaped(self.plain, response)
        except Exception:
            log.exception("a plain call failed")
            return failed(self.plain)

    async def _later(self, response: Awaitable[bytes]) -> None:
        try:
            answer = await self._unless_withdrawn(self.lane.concluded(self.plain, response))
        except Exception:
            log.exception("a plain call failed")
            answer = failed(self.plain)
        self._done(answer)


async def _ready(response: bytes) -> bytes:
    return response
