"""Polling file watcher.

It polls and compares contents, because file system events do not arrive in containers and on network drives.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from hashlib import sha256
from pathlib import Path

import anyio
import anyio.to_thread

FileDigests = Mapping[Path, bytes | None]
"""Hashes of the contents of files; None for one that cannot be read."""


async def watch_files(
    list_files: Callable[[], Iterable[Path]], seconds: float, is_wanted: Callable[[], bool] = lambda: False
) -> AsyncIterator[FileDigests]:
    """Yield the digests when a file changes, or when they are wanted.

    A change counts only when two polls in a row find the same content, so that no half-written file is read. Files may
    come and go; a new one counts from its next change.
    """
    known = seen = await _read_digests(list_files)
    while True:
        await anyio.sleep(seconds)
        now = await _read_digests(list_files)
        known = {path: known.get(path, digest) for path, digest in now.items()}
        if (now == seen and now != known) or is_wanted():
            known = now
            yield now
        seen = now


async def _read_digests(list_files: Callable[[], Iterable[Path]]) -> FileDigests:
    paths = [*list_files()]
    return await anyio.to_thread.run_sync(lambda: {path: _digest(path) for path in paths})


def _digest(path: Path) -> bytes | None:
    """Return the hash of a file's content, or None if unreadable."""
    try:
        return sha256(path.read_bytes()).digest()
    except OSError:
        return None
