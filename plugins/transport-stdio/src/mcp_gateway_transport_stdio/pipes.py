"""Pipes as the operating system has them: waiting and size."""

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

    A large message then takes fewer turns. Systems without F_SETPIPE_SZ are left alone.
    """
    with suppress(ImportError, AttributeError, OSError):  # no pipe, no Linux, or too many of them
        import fcntl

        if fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ) < room:
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, room)
