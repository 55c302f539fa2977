"""The log file of a shared gateway, kept short."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

import anyio

MAX_LOG_BYTES = 4 << 20
"""How large the file may grow; what was in it is kept once, beside it."""

_LOOK_SECONDS = 30.0
_STANDARD_ERROR = 2


async def keep_log_short(path: Path) -> None:
    """Cut the file again and again when it is too large."""
    while True:
        await anyio.sleep(_LOOK_SECONDS)
        cut_log(path, _STANDARD_ERROR)


def cut_log(path: Path, descriptor: int, max_bytes: int = MAX_LOG_BYTES) -> bool:
    """Move the content of a too large file beside it.

    It is the file of this descriptor, opened to append, so writing goes on at its new beginning. Returns whether it was
    too large.
    """
    with suppress(OSError):
        open_file, named = os.fstat(descriptor), path.stat()
        is_same = (open_file.st_dev, open_file.st_ino) == (named.st_dev, named.st_ino)
        if is_same and stat.S_ISREG(open_file.st_mode) and open_file.st_size > max_bytes:
            shutil.copyfile(path, path.with_suffix(".old.log"))
            path.with_suffix(".old.log").chmod(0o600)
            os.ftruncate(descriptor, 0)
            return True
    return False
