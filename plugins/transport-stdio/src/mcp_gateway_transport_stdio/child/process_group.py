"""The process group of a child, and its termination."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

import anyio

log = logging.getLogger(__name__)

EXIT_SECONDS = 2.0
"""How long a server may take to exit after its stdin was closed, and again after SIGTERM; then it is killed."""

# Polled, because there is no notification when the last process of a group ends.
_LOOK_SECONDS = 0.02


def watch_exit(process: subprocess.Popen[bytes], loop: asyncio.AbstractEventLoop, tell: Callable[[], None]) -> None:
    """Call `tell` in the event loop once a process has exited."""

    def wait() -> None:
        process.wait()
        with suppress(RuntimeError):  # the loop may be closed already
            loop.call_soon_threadsafe(tell)

    def on_exit(descriptor: int) -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        process.wait()
        tell()

    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # an old kernel
            # A pidfd (Linux 5.3) wakes the event loop without a thread for each child.
            descriptor = os.pidfd_open(process.pid)
            loop.add_reader(descriptor, on_exit, descriptor)
            return
    # Without a pidfd (macOS, Windows, old kernels) only a thread works with every event loop.
    threading.Thread(target=wait, daemon=True, name=f"waits for {process.pid}").start()


async def end_group(leader: int, exited: asyncio.Event) -> None:
    """Wait for a child to exit, then end its group.

    If it does not exit in time it gets SIGTERM, then SIGKILL; then the rest of its group is terminated.
    """
    # Shielded, because on cancellation nothing else would kill the process.
    with anyio.CancelScope(shield=True):
        for number in (None, signal.SIGTERM, signal.SIGKILL):
            if number is not None:
                _signal_group(leader, number)
            with anyio.move_on_after(EXIT_SECONDS):
                await exited.wait()
                break
        else:
            log.warning("process survived SIGKILL", extra={"pid": leader})
        await _terminate_rest(leader)


async def _terminate_rest(group: int) -> None:
    """Terminate the processes left in a group.

    A process may exit and leave its own children running.
    """
    if not _signal_group(group, signal.SIGTERM):
        return
    with anyio.move_on_after(EXIT_SECONDS):
        while _signal_group(group, 0):  # noqa: ASYNC110  # not our children: they cannot be awaited
            await anyio.sleep(_LOOK_SECONDS)
        return
    _signal_group(group, signal.SIGKILL)


def _signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group.

    Returns False if the group has no process that can be signalled.
    """
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
