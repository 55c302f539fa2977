"""What standard input is, found out without reading it."""

from __future__ import annotations

import os
import stat
import sys


def is_new_file() -> bool:
    """Whether it is a file that `<` has opened for this command.

    One that is not at its start belongs to somebody else, such as the loop of a script that reads it line by line.
    """
    found = _find_status()
    return (
        found is not None
        and stat.S_ISREG(found.st_mode)
        and found.st_size > 0
        and os.lseek(sys.stdin.fileno(), 0, os.SEEK_CUR) == 0
    )


def has_waiting_data() -> bool:
    """Whether it is a pipe in which data waits."""
    found = _find_status()
    if found is None or sys.platform == "win32" or not stat.S_ISFIFO(found.st_mode):
        return False
    import fcntl
    import termios

    waiting = fcntl.ioctl(sys.stdin.fileno(), termios.FIONREAD, b"\0" * 4)
    return int.from_bytes(waiting, sys.byteorder) > 0


def _find_status() -> os.stat_result | None:
    """Return the status of its file, or None without one."""
    try:
        return None if sys.stdin is None else os.fstat(sys.stdin.fileno())
    except (OSError, ValueError):
        return None
