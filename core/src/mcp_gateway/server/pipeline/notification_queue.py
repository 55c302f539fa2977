"""Notifications to a client that the SDK sends one after another."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import structlog

from mcp_gateway.protocol.raw_json import Fields, decode_members

log = structlog.get_logger(__name__)

MAX_WAITING = 200
"""From how many messages on the client counts as congested."""

# A client that reads nothing must not keep its own response waiting for ever.
_DRAIN_SECONDS = 5.0

SendFn = Callable[[str, dict[str, Any]], Awaitable[None]]


@dataclass(slots=True, eq=False)
class NotificationQueue:
    """Sends notifications in order, in a task.

    The SDK's way to a client has to be awaited.
    """

    send: SendFn
    _waiting: deque[tuple[str, Fields]] = field(default_factory=deque)
    _task: asyncio.Task[None] | None = None

    def put(self, method: str, params: Fields) -> None:
        """Send a notification after those before it."""
        self._waiting.append((method, params))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def is_congested(self) -> bool:
        """Whether the client does not take what is sent to it."""
        return len(self._waiting) >= MAX_WAITING

    async def drain(self) -> None:
        """Wait until all is sent, but not for ever."""
        if self._task is not None:
            with anyio.move_on_after(_DRAIN_SECONDS):
                await asyncio.shield(self._task)

    def close(self) -> None:
        """Send nothing more."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            while self._waiting:
                method, params = self._waiting.popleft()
                await self.send(method, decode_members(params))
        except Exception as error:  # noqa: BLE001  # a border: the connection may fail in any way
            log.debug("notification not delivered", reason=str(error))
        finally:
            self._task = None
