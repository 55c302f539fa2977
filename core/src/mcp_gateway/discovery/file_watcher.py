"""Polling file watcher.

It polls and compares contents, because file system events do not arrive in containers and on network drives.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import anyio
import anyio.to_thread


async def watch_file(path: Path, seconds: float) -> AsyncIterator[bool]:
    """Yield whether a file is readable each time its content changes.

    A change counts only when two polls in a row find the same content, so that no half-written file is read.
    """
    known = seen = await anyio.to_thread.run_sync(_digest, path)
    while True:
        await anyio.sleep(seconds)
        now = await anyio.to_thread.run_sync(_digest, path)
        if now == seen and now != known:
            known = now
            yield now is not None
        seen = now


def _digest(path: Path) -> bytes | None:
    """Return the hash of a file's content, or None if unreadable."""
    try:
        return sha256(path.read_bytes()).digest()
    except OSError:
        return None
