"""Concurrency limit for listing servers.

A server that takes long leaves the limit, so that it does not delay the others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup

AT_A_TIME = 32
"""How many servers are asked at once."""

LONG_SECONDS = 2.0
"""Who takes longer is not counted any more: it waits, and that costs nothing."""


@dataclass(slots=True)
class ConcurrencyLimit:
    """Lets so many go at a time."""

    tasks: TaskGroup
    _free: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(AT_A_TIME))

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait until it is one's turn."""
        await self._free.acquire()
        counted = anyio.CancelScope()
        self.tasks.start_soon(self._count, counted)
        try:
            yield
        finally:
            counted.cancel()

    async def _count(self, counted: anyio.CancelScope) -> None:
        try:
            with counted:
                await anyio.sleep(LONG_SECONDS)
        finally:
            self._free.release()
