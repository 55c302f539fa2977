"""Tuning of malloc in glibc.

Memory that was needed briefly, to read and index a large catalog, is returned to the system.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

# A catalog is read and indexed server by server: one trim after the last is enough.
_QUIET_SECONDS = 2.0
# Parameters of malloc.h (mallopt(3)).
_M_ARENA_MAX, _M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -8, -1, -3
_KEPT_BYTES = 16 << 20
"""How much free memory the heap may end with before glibc returns it; a burst is trimmed by `give_back_bursts`."""
_HEAP_BYTES = 4 << 20
"""From what size on memory is mapped for one use, and returned after it."""

_LOOK_SECONDS = 5.0
_MAX_PAUSE_SECONDS = 600.0
_BURST_PAGES = 4096
"""From which growth the heap is trimmed: 16 MiB with pages of 4 KiB."""


@dataclass(slots=True)
class MemoryTrimmer:
    """Coalescing trimmer of heap memory after large allocations.

    It trims once, a moment after the last of several allocations.
    """

    tasks: TaskGroup
    _is_due: bool = False

    def schedule(self, *_: object) -> None:
        """Schedule a trim after a large allocation."""
        if not self._is_due:
            self._is_due = True
            self.tasks.start_soon(self._tidy)

    async def _tidy(self) -> None:
        await anyio.sleep(_QUIET_SECONDS)
        self._is_due = False
        await anyio.to_thread.run_sync(trim_heap)


async def give_back_bursts() -> None:
    """Trim the heap after bursts, for as long as the gateway runs.

    Large results cause such bursts, for example. Memory that trimming could not return is in use at that time, and may
    be free later: it is tried again, after pauses that double.
    """
    floor = kept = _resident_pages()
    pause, next_trial = _LOOK_SECONDS, 0.0
    while floor:
        await anyio.sleep(_LOOK_SECONDS)
        pages, now = _resident_pages(), anyio.current_time()
        if pages < floor + _BURST_PAGES:
            floor, kept, pause = min(floor, pages), pages, _LOOK_SECONDS
        elif pages > kept + _BURST_PAGES or now >= next_trial:
            await anyio.to_thread.run_sync(trim_heap)
            left = _resident_pages()
            pause = _LOOK_SECONDS if left < pages - _BURST_PAGES else min(2 * pause, _MAX_PAUSE_SECONDS)
            kept, next_trial = left, now + pause


def _resident_pages() -> int:
    """Return this process's resident pages, 0 if they are not known."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def configure_malloc() -> None:
    """Make threads share an arena, and large messages reuse memory.

    glibc keeps freed memory in the arena of the thread, where no other thread can use it. And it returns the end of the
    heap, or a mapping of its own, after each message of some hundred kilobytes: to get the pages anew for the next one
    takes longer than all else that is done for it.
    """
    _ask_libc("mallopt", _M_ARENA_MAX, 1)
    _ask_libc("mallopt", _M_TRIM_THRESHOLD, _KEPT_BYTES)
    _ask_libc("mallopt", _M_MMAP_THRESHOLD, _HEAP_BYTES)


def trim_heap() -> None:
    """Return free heap memory to the system.

    Otherwise glibc keeps it for later use.
    """
    _ask_libc("malloc_trim", 0)


def _ask_libc(name: str, *numbers: int) -> None:
    """Call a function of glibc, where there is one."""
    # Only glibc has these functions; without them memory is returned later, or not at all.
    with suppress(OSError, AttributeError, ImportError):
        if sys.platform == "linux":
            import ctypes

            getattr(ctypes.CDLL(None), name)(*numbers)
