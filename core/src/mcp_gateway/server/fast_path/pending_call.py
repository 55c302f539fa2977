"""Raw call in progress.

It starts at once without a task where that is possible, else it is awaited in one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from mcp_gateway.plugin import RawResponse
from mcp_gateway.server.fast_path.codec import ToolCall, encode_internal_error
from mcp_gateway.sessions.raw_call import HeardFn, RawCall

log = structlog.get_logger(__name__)

BY_CLIENT = "cancelled by the client"

Key = tuple[str, object]
"""A client, and the id of its request."""


class RawCallSteps(Protocol):
    """The steps of a raw call, from request to encoded response."""

    under_way: dict[Key, PendingCall]

    def start_call(self, plain: ToolCall, heard: HeardFn) -> RawCall | None:
        """Send a call at once, or do nothing."""
        ...

    def encode_response(self, plain: ToolCall, response: bytes) -> RawResponse | None:
        """Encode a response, or return None if that needs awaiting."""
        ...

    async def finish_call(self, plain: ToolCall, response: Awaitable[bytes]) -> RawResponse:
        """Wait for a response, and make an answer of it."""
        ...

    async def run_call(self, plain: ToolCall) -> RawResponse:
        """Do all that a call needs."""
        ...

    def run(self, work: Awaitable[None]) -> asyncio.Task[None]:
        """Do something in a task of its own."""
        ...


@dataclass(slots=True, eq=False)
class PendingCall:
    """A pending raw call that implements `SupportsStart`.

    A call with a `key` may be cancelled by its client.
    """

    steps: RawCallSteps
    plain: ToolCall
    key: Key | None
    _done: Callable[[RawResponse], None] = field(init=False, repr=False)
    _sending: RawCall | None = None
    _task: asyncio.Task[Any] | None = None

    def start(self, done: Callable[[RawResponse], None]) -> bool:
        """Begin at once, if nothing has to be waited for first."""
        self._done = done
        self._sending = self.steps.start_call(self.plain, self._on_response)
        if self._sending is None:
            return False
        if self.key is not None:
            self.steps.under_way[self.key] = self
        return True

    def cancel(self, msg: object = None) -> None:
        """Give up what was begun."""
        self._over()
        if self._sending is not None:
            sending, self._sending = self._sending, None
            self.steps.run(sending.cancel())
        elif self._task is not None:
            self._task.cancel(msg)

    def cancel_by_client(self) -> None:
        """Cancel at the client's request, with an empty response."""
        begun = self._sending is not None
        self.cancel(BY_CLIENT)
        if begun:
            self._done(RawResponse(b""))

    def __await__(self) -> Generator[Any, Any, RawResponse]:
        """Wait for the answer in a task."""
        return self._run().__await__()

    async def _run(self) -> RawResponse:
        self._task = asyncio.current_task()
        if self.key is not None:
            self.steps.under_way[self.key] = self
        return await self._unless_withdrawn(self.steps.run_call(self.plain))

    async def _unless_withdrawn(self, answering: Awaitable[RawResponse]) -> RawResponse:
        try:
            return await answering
        except asyncio.CancelledError as cancelled:
            if self._task is None or cancelled.args != (BY_CLIENT,):
                raise
            # Else the task counts as cancelled, and the next await in it would end it (asyncio, Task.uncancel).
            self._task.uncancel()
            return RawResponse(b"")
        finally:
            self._over()

    def _over(self) -> None:
        if self.key is not None and self.steps.under_way.get(self.key) is self:
            del self.steps.under_way[self.key]

    def _on_response(self, response: bytes | Awaitable[bytes]) -> None:
        self._sending = None
        answer = self._encode_response(response) if isinstance(response, bytes) else None
        if answer is None:
            self._task = self.steps.run(self._later(_ready(response) if isinstance(response, bytes) else response))
        else:
            self._over()
            self._done(answer)

    def _encode_response(self, response: bytes) -> RawResponse | None:
        try:
            return self.steps.encode_response(self.plain, response)
        except Exception:
            log.exception("plain call failed")
            return encode_internal_error(self.plain)

    async def _later(self, response: Awaitable[bytes]) -> None:
        try:
            answer = await self._unless_withdrawn(self.steps.finish_call(self.plain, response))
        except Exception:
            log.exception("plain call failed")
            answer = encode_internal_error(self.plain)
        self._done(answer)


async def _ready(response: bytes) -> bytes:
    return response
