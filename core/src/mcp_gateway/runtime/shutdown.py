"""Graceful shutdown on signals.

The first signal lets calls in progress finish for a while, the second ends everything at once.
"""

from __future__ import annotations

import asyncio
import math
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType

import anyio
import structlog

log = structlog.get_logger(__name__)

CLOSE_SECONDS = 20.0
"""How long closing may take once nothing is served any more."""

# It is looked only at the end, so that calls need not tell anybody when they are over.
_LOOK_SECONDS = 0.02


@dataclass(slots=True)
class GracefulShutdown:
    """Cancel scopes that signals end: serving, then everything.

    Everything ends at the second signal, or when closing takes too long.

    `under_way` says how many requests there are; they are waited for, `grace` seconds at the most, if the
    transport does not do that itself.
    """

    grace: float
    under_way: Callable[[], int] | None = None
    serving: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    everything: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    async def on_signals(self) -> None:
        """Hear signals until cancelled."""
        async with anyio.create_task_group() as tasks:
            with _signals() as signals:
                async for number in signals:
                    log.info("stopping", signal=signal.Signals(number).name)
                    # It is set by the first signal: this is the second.
                    if self.everything.deadline != math.inf:
                        self.everything.cancel()
                    self.close()
                    tasks.start_soon(self._drain)

    def close(self) -> None:
        """Begin to close: it must not take for ever."""
        self.everything.deadline = anyio.current_time() + self.grace + CLOSE_SECONDS

    async def _drain(self) -> None:
        """Stop serving once nothing is under way any more."""
        with anyio.move_on_after(self.grace):
            while self.under_way is not None and self.under_way():  # noqa: ASYNC110  # calls must not pay for this
                await anyio.sleep(_LOOK_SECONDS)
        self.serving.cancel()


@contextmanager
def _signals() -> Iterator[AsyncIterator[int]]:
    """Receive what asks the gateway to end."""
    try:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
            yield received
    except NotImplementedError:  # Windows: Ctrl-C, and Ctrl-Break, which is how one process asks another to end
        with open_python_signal_receiver(signal.SIGINT, getattr(signal, "SIGBREAK", signal.SIGTERM)) as received:
            yield received


@contextmanager
def open_python_signal_receiver(*numbers: int) -> Iterator[AsyncIterator[int]]:
    """Receive signals through Python's handlers instead of the event loop's.

    For event loops that cannot receive signals; main thread only.
    """
    loop = asyncio.get_running_loop()
    send, receive = anyio.create_memory_object_stream[int](len(numbers) + 8)

    def listing(number: int) -> None:
        # Whoever does not take the second signal needs no tenth, and after the end nobody listens.
        with suppress(anyio.WouldBlock, anyio.ClosedResourceError):
            send.send_nowait(number)

    def on_signal(number: int, _: FrameType | None) -> None:
        # A Python handler interrupts the loop between bytecodes: only this wakes it safely.
        loop.call_soon_threadsafe(listing, number)

    with send, receive:
        before = {number: signal.signal(number, on_signal) for number in numbers}
        try:
            yield receive
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
