"""The storage as the gateway uses it: what fails there is a warning, never an error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
import structlog

from mcp_gateway.plugin import StorageBackend, StorageError

log = structlog.get_logger(__name__)

STORAGE_SECONDS = 5.0
"""How long the gateway waits for the storage backend before it goes on without."""

SLOW_SECONDS, REST_SECONDS = 1.0, 5.0
"""A failure that took so long is not waited for again in the time after it."""

AT_A_TIME = 16
"""How many requests are under way at once. The others wait, which is not the storage's fault: it is not timed."""

ResultT = TypeVar("ResultT")


@dataclass(slots=True)
class Steady:
    """A storage backend that may fail: warned of once, and good news once."""

    storage: StorageBackend
    _failing: bool = field(default=False)
    _rests_until: float = field(default=float("-inf"))
    _free: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(AT_A_TIME))

    async def attempt(self, deed: Callable[[], Awaitable[ResultT]], otherwise: ResultT) -> ResultT:
        """Return what `deed` gives, or `otherwise` if it fails."""
        async with self._free:
            began = anyio.current_time()
            if began < self._rests_until:
                return otherwise
            try:
                with anyio.fail_after(STORAGE_SECONDS):
                    result = await deed()
            except Exception as error:  # noqa: BLE001  # a border with foreign code: it must not end the gateway
                self._failed(error, slow=anyio.current_time() - began >= SLOW_SECONDS)
                return otherwise
        self.works()
        return result

    def works(self) -> None:
        """Take note that it works."""
        if self._failing:
            log.info("storage works again")
        self._failing, self._rests_until = False, float("-inf")

    def _failed(self, error: Exception, *, slow: bool) -> None:
        if slow:
            self._rests_until = anyio.current_time() + REST_SECONDS
        if not self._failing:
            log.warning("storage does not work; the gateway goes on without sharing definitions", reason=reason(error))
        self._failing = True


def reason(error: Exception) -> str:
    """Say what went wrong; the words of an error that is not ours may hold a secret."""
    if isinstance(error, StorageError):
        return str(error)
    return f"no answer within {STORAGE_SECONDS:g} s" if isinstance(error, TimeoutError) else type(error).__name__
