"""Graceful shutdown on signals.

After the first signal calls in progress have some time to finish; a second one ends everything at once.
"""

from __future__ import annotations

import asyncio
import math
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType

import anyio
import structlog

log = structlog.get_logger(__name__)

CLOSE_SECONDS = 1.0
"""How long closing may take after serving has ended.

With the time that calls have by default it is less than 3 seconds: clients kill a server 4 seconds after they have
closed its input.
"""

SESSION_SECONDS = 0.4
"""How long each session may take of that; the kill of a process that has not ended may take as long again."""

# The time for what follows the last task: the end of the event loop, and of the interpreter.
_OVERDUE_SECONDS = 0.1

# Polled, and only during the shutdown, so that calls need not signal their end.
_LOOK_SECONDS = 0.02


@dataclass(slots=True)
class GracefulShutdown:
    """Cancel scopes that signals end: serving, then everything.

    Everything ends at the second signal, or when closing takes too long.

    `under_way` returns the number of requests in progress, which get at most `grace` seconds; None if the transport
    waits for them itself.
    """

    grace: float
    under_way: Callable[[], int] | None = None
    on_overdue: Callable[[], None] | None = None
    """Called in a thread if closing takes longer still: a task hangs, or a thread that Python waits for."""
    serving: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    everything: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    async def on_signals(self) -> None:
        """Handle signals until cancelled."""
        async with anyio.create_task_group() as tasks:
            with _signals() as signals:
                async for number in signals:
                    log.info("stopping", signal=signal.Signals(number).name)
                    # The first signal sets the deadline, so this is the second.
                    if self.everything.deadline != math.inf:
                        self.everything.cancel()
                    self.close(self.grace)
                    tasks.start_soon(self._drain)

    def close(self, grace: float = 0.0) -> None:
        """Set the deadline after which everything is cancelled, unless it is sooner.

        It is that of closing, after `grace` seconds.
        """
        remaining = grace + CLOSE_SECONDS
        self.everything.deadline = min(self.everything.deadline, anyio.current_time() + remaining)
        if self.on_overdue is not None:
            timer = threading.Timer(remaining + _OVERDUE_SECONDS, self.on_overdue)
            timer.daemon = True
            timer.start()

    async def _drain(self) -> None:
        """Stop serving when no request is in progress, or time is up."""
        if self.under_way is None:  # the transport waits itself, and begins now
            self.serving.cancel()
        with anyio.move_on_after(self.grace):
            while self.under_way is not None and self.under_way():  # noqa: ASYNC110  # see _LOOK_SECONDS
                await anyio.sleep(_LOOK_SECONDS)
        self.serving.cancel()


@contextmanager
def _signals() -> Iterator[AsyncIterator[int]]:
    """Receive the signals that ask the gateway to stop."""
    try:
        with anyio.open_signal_receiver(*_find_signals()) as received:
            yield received
    except NotImplementedError:  # Windows: Ctrl-C, and Ctrl-Break, which other processes send
        with open_python_signal_receiver(signal.SIGINT, getattr(signal, "SIGBREAK", signal.SIGTERM)) as received:
            yield received


def _find_signals() -> set[signal.Signals]:
    """Return the signals to handle: SIGHUP, too, unless `nohup` has it ignored."""
    hangup = getattr(signal, "SIGHUP", signal.SIGTERM)  # Windows has none
    is_ignored = signal.getsignal(hangup) is signal.SIG_IGN
    return {signal.SIGINT, signal.SIGTERM} | (set() if is_ignored else {hangup})


@contextmanager
def open_python_signal_receiver(*numbers: int) -> Iterator[AsyncIterator[int]]:
    """Receive signals through Python's handlers instead of the event loop's.

    It is for event loops that cannot receive signals, and works in the main thread only.
    """
    loop = asyncio.get_running_loop()
    send, receive = anyio.create_memory_object_stream[int](len(numbers) + 8)

    def listing(number: int) -> None:
        # A full buffer means that enough signals are pending; a closed one that the receiver has ended.
        with suppress(anyio.WouldBlock, anyio.ClosedResourceError):
            send.send_nowait(number)

    def on_signal(number: int, _: FrameType | None) -> None:
        # A Python handler runs between bytecodes, so the loop must be woken in a thread-safe way.
        loop.call_soon_threadsafe(listing, number)

    with send, receive:
        before = {number: signal.signal(number, on_signal) for number in numbers}
        try:
            yield receive
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
