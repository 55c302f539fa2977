"""Fault-tolerant storage: failures are logged, never raised."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
import structlog

from mcp_gateway.plugin import StorageBackend, StorageError
from mcp_gateway.runtime.backoff import Backoff

log = structlog.get_logger(__name__)

STORAGE_SECONDS = 5.0
"""How long the gateway waits for the storage backend before it continues without it."""

PROBE_SECONDS = 1.0
"""How long it waits if the backend has not answered yet or failed last time; shorter, as a search may be waiting."""

SLOW_SECONDS, REST_SECONDS, LONGEST_REST = 0.5, 5.0, 60.0
"""After a failure that took `SLOW_SECONDS` the backend is not used for `REST_SECONDS`, doubled each time."""

AT_A_TIME = 16
"""How many requests run concurrently. The timeout does not include the time others wait for that."""

ResultT = TypeVar("ResultT")


@dataclass(slots=True)
class ResilientStorage:
    """Storage wrapper that logs the first failure and the recovery.

    `probe` replaces `PROBE_SECONDS`, the timeout of a backend that is not known to work.
    """

    storage: StorageBackend
    probe: float | None = None
    _failing: bool = field(default=False)
    _proven: bool = field(default=False)
    _rest: Backoff = field(default_factory=lambda: Backoff(REST_SECONDS, LONGEST_REST))
    _rests_until: float = field(default=float("-inf"))
    _free: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(AT_A_TIME))

    async def call_or_default(self, operation: Callable[[], Awaitable[ResultT]], default: ResultT) -> ResultT:
        """Return the operation's result, or `default` if it fails."""
        try:
            return await self.call(operation)
        except StorageError:
            return default

    async def call(self, deed: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Run an operation with a timeout; return its result.

        Raises:
            StorageError: it failed, or was not tried because of a recent slow failure.

        """
        async with self._free:
            began = anyio.current_time()
            if began < self._rests_until:
                raise StorageError("it did not answer a moment ago, and is left alone for a while")
            seconds = STORAGE_SECONDS if self._proven else self._probe_seconds
            try:
                with anyio.fail_after(seconds):
                    result = await deed()
            except Exception as error:  # noqa: BLE001  # a border with foreign code: it must not end the gateway
                why = safe_reason(error, seconds)
                self._on_failure(why, slow=anyio.current_time() - began >= min(SLOW_SECONDS, seconds))
                # Without its cause, whose text may contain the password of the URL.
                raise StorageError(why) from None
        self.record_success()
        return result

    def record_success(self) -> None:
        """Record that the storage works."""
        if self._failing:
            log.info("storage recovered")
        self._failing, self._proven, self._rests_until = False, True, float("-inf")
        self._rest.reset()

    @property
    def _probe_seconds(self) -> float:
        return min(PROBE_SECONDS, STORAGE_SECONDS) if self.probe is None else self.probe

    def _on_failure(self, why: str, *, slow: bool) -> None:
        self._proven = False
        now = anyio.current_time()
        if slow and now >= self._rests_until:  # only the first of several concurrent failures counts
            self._rests_until = now + self._rest.next_delay()
        if not self._failing:
            log.warning("storage failed", reason=why)
        self._failing = True


def safe_reason(error: Exception, seconds: float = STORAGE_SECONDS) -> str:
    """Describe an error without leaking secrets.

    The text of an exception that is not the gateway's own may contain one, so only its type is shown.
    """
    if isinstance(error, StorageError):
        return str(error)
    return f"no answer within {seconds:g} s" if isinstance(error, TimeoutError) else type(error).__name__
