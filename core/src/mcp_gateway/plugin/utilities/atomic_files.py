"""Atomic writing of files.

No temporary file remains when writing fails.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from mcp_gateway.plugin.errors import StorageError

_UNFINISHED = ".new"
_ABANDONED_SECONDS = 3600.0
"""From which age an unfinished file counts as abandoned on systems without file locks."""

_PAUSES = (0.01, 0.05, 0.25)
_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk is full",
    errno.EFBIG: "a file may not grow so large here",
}


def write_file(path: Path, parts: Iterable[bytes], *, replace: bool = True) -> None:
    """Write a file atomically, readable by its owner only.

    The folder is created if necessary. Unfinished files of killed processes are removed from it.

    Raises:
        FileExistsError: the file exists, and `replace` is False.
        StorageError: it cannot be written; the previous file is unchanged.

    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_unfinished(path.parent, f"*{path.suffix}.*{_UNFINISHED}")
        with _open_unfinished(path) as made:
            with made:
                made.writelines(parts)
                made.flush()
                os.fsync(made.fileno())  # some file systems report only here that they are full
                if sys.platform != "win32":  # Windows cannot rename an open file
                    _settle(Path(made.name), path, replace=replace)
            if sys.platform == "win32":
                _settle(Path(made.name), path, replace=replace)
    except OSError as error:
        if isinstance(error, FileExistsError) and not replace and path.exists():
            raise
        raise StorageError(f"{path} cannot be written: {describe_write_error(error)}") from None


def describe_write_error(error: OSError) -> str:
    """Return why a file cannot be written, for people."""
    message, full = error.strerror or type(error).__name__, _FULL.get(error.errno or 0)
    return message if full is None else f"{full} ({message})"


def describe_read_error(error: OSError) -> str:
    """Return why a file cannot be read, and what to do."""
    message = error.strerror or type(error).__name__
    return f"{message}; let this user read it" if isinstance(error, PermissionError) else message


def remove_unfinished(folder: Path, pattern: str = f"*{_UNFINISHED}") -> None:
    """Remove unfinished files that no process is writing any more."""
    with suppress(OSError):
        for found in list(folder.glob(pattern)):
            with suppress(OSError):
                _remove_abandoned(found)


@contextmanager
def _open_unfinished(path: Path) -> Iterator[IO[bytes]]:
    """Open a locked file beside another one; remove it at the end."""
    while True:
        made = tempfile.NamedTemporaryFile(  # noqa: SIM115  # the caller closes it
            dir=path.parent, prefix=f"{path.name}.", suffix=_UNFINISHED, delete=False
        )
        try:
            _lock(made.fileno(), wait=True)
            if Path(made.name).exists():  # no other process removed it before it was locked
                yield made.file
                return
        finally:
            try:
                made.close()
            finally:
                Path(made.name).unlink(missing_ok=True)


def _settle(made: Path, path: Path, *, replace: bool) -> None:
    """Rename a finished file to its final name.

    On Windows that fails while the file of this name is open for reading.
    """
    if not replace:
        os.link(made, path)
        return
    for pause in _PAUSES:
        with suppress(PermissionError):
            made.replace(path)
            return
        time.sleep(pause)
    made.replace(path)


def _remove_abandoned(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # it may be a pipe
    try:
        locked = _lock(descriptor, wait=False)
        old = time.time() - os.fstat(descriptor).st_mtime > _ABANDONED_SECONDS
        if sys.platform != "win32" and (locked or (locked is None and old)):
            path.unlink()
    finally:
        os.close(descriptor)
    if sys.platform == "win32":
        path.unlink()  # fails while another process has it open


def _lock(descriptor: int, *, wait: bool) -> bool | None:
    """Lock a file; False if another process has, None without locks."""
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
