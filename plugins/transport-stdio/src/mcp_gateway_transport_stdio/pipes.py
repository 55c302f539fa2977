"""Pipes of the operating system: polling and buffer size."""

from __future__ import annotations

import os
import stat
from contextlib import suppress


def can_poll(*descriptors: int) -> bool:
    """Whether all descriptors are pipes or sockets, on POSIX.

    The event loop can wait for these without a thread.
    """
    modes = [os.fstat(descriptor).st_mode for descriptor in descriptors]
    return os.name == "posix" and all(stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) for mode in modes)


def grow_pipe(descriptor: int, room: int) -> None:
    """Grow a pipe's buffer to `room` bytes.

    A large message then takes fewer iterations of the event loop. Does nothing on systems without F_SETPIPE_SZ.
    """
    with suppress(ImportError, AttributeError, OSError):  # not a pipe, not Linux, or over the user's limit
        import fcntl

        if fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ) < room:
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, room)
