"""Concurrency limit for listing servers.

A slow server stops counting against the limit, so that it does not delay the others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup

AT_A_TIME = 32
"""How many servers are listed at once."""

LONG_SECONDS = 2.0
"""After how long a server stops counting: by then it is only being waited for, which costs nothing."""


@dataclass(slots=True)
class ConcurrencyLimit:
    """Semaphore whose slots are released early by slow users."""

    tasks: TaskGroup
    _free: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(AT_A_TIME))

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a slot and hold it, at most `LONG_SECONDS`."""
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
