"""Compression of stored values, with a bound on what is unpacked."""

from __future__ import annotations

import zlib
from collections.abc import Iterable


class TooLarge(ValueError):
    """What was packed has more bytes than it may have."""


def pack(parts: Iterable[bytes]) -> bytes:
    """Compress parts one by one.

    All of it at once would take many times as much memory for a moment.
    """
    packing = zlib.compressobj(1)
    return b"".join([*map(packing.compress, parts), packing.flush()])


def unpack(value: bytes, max_bytes: int) -> bytes:
    """Read what `pack` wrote, of at most `max_bytes`.

    A few compressed bytes may stand for gigabytes.

    Raises:
        TooLarge: it has more.
        ValueError: it is something else.

    """
    unpacking = zlib.decompressobj()
    try:
        found = unpacking.decompress(value, max_bytes + 1)
    except zlib.error as error:
        raise ValueError("it cannot be unpacked") from error
    if len(found) > max_bytes:
        raise TooLarge(f"it is larger than {max_bytes >> 20} MiB")
    # Half of a value, or something behind it: it was not written by `pack`.
    if not unpacking.eof or unpacking.unused_data:
        raise ValueError("it cannot be unpacked")
    return found
