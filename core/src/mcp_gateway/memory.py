"""Memory: what reading and indexing a large catalogue took for a moment goes back to the system."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

_QUIET_SECONDS = 2.0
_M_ARENA_MAX = -8


@dataclass(slots=True)
class Tidying:
    """Gives memory back a moment after something large was made, once for all that is made meanwhile."""

    tasks: TaskGroup
    _is_due: bool = False

    def begin(self, *_: object) -> None:
        """Take note that something was made."""
        if not self._is_due:
            self._is_due = True
            self.tasks.start_soon(self._tidy)

    async def _tidy(self) -> None:
        await anyio.sleep(_QUIET_SECONDS)
        self._is_due = False
        await anyio.to_thread.run_sync(give_back)


def share_one_arena() -> None:
    """Let all threads take memory from one place: glibc keeps what each has freed, and never tells the others."""
    _ask_libc("mallopt", _M_ARENA_MAX, 1)


def give_back() -> None:
    """Give the system what is free; it is kept otherwise, in case that it is needed again."""
    _ask_libc("malloc_trim", 0)


def _ask_libc(name: str, *numbers: int) -> None:
    """Call a function of glibc, where there is one."""
    with suppress(OSError, AttributeError, ImportError):
        if sys.platform == "linux":
            import ctypes

            getattr(ctypes.CDLL(None), name)(*numbers)
