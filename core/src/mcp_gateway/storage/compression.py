"""Compression of stored values, with a bound on the uncompressed size."""

from __future__ import annotations

import zlib
from collections.abc import Iterable


class TooLarge(ValueError):
    """An uncompressed value with more bytes than allowed."""


def pack(parts: Iterable[bytes]) -> bytes:
    """Compress parts one by one.

    Compressing them at once would briefly need many times as much memory.
    """
    packing = zlib.compressobj(1)
    return b"".join([*map(packing.compress, parts), packing.flush()])


def unpack(value: bytes, max_bytes: int) -> bytes:
    """Decompress what `pack` returned, to at most `max_bytes`.

    The limit is necessary because a few compressed bytes may expand to gigabytes.

    Raises:
        TooLarge: the uncompressed value is larger.
        ValueError: the value has another form.

    """
    unpacking = zlib.decompressobj()
    try:
        found = unpacking.decompress(value, max_bytes + 1)
    except zlib.error as error:
        raise ValueError("it cannot be unpacked") from error
    if len(found) > max_bytes:
        raise TooLarge(f"it is larger than {max_bytes >> 20} MiB")
    # A truncated value, or one with trailing bytes: `pack` did not write it.
    if not unpacking.eof or unpacking.unused_data:
        raise ValueError("it cannot be unpacked")
    return found
