"""Standard input and output as descriptors, whatever others have set on them."""

from __future__ import annotations

import os
import select

STDIN, STDOUT = 0, 1
CHUNK = 256 << 10


def read_some(descriptor: int) -> bytes:
    """Return what has come, waiting for it; nothing at the end."""
    while True:
        try:
            return os.read(descriptor, CHUNK)
        except BlockingIOError:  # whoever has the other descriptor of this open file wants it so
            select.select([descriptor], [], [])
        except OSError:
            return b""


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it, as fast as it is read.

    Raises:
        OSError: nobody reads it.

    """
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            select.select([], [descriptor], [])
