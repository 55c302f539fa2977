"""Line framing of JSON for pipes and event streams."""

from __future__ import annotations

_BREAKS = bytes.maketrans(b"\r\n", b"  ")


def to_line(message: bytes) -> bytes:
    """Return JSON without line breaks, each of which becomes a space.

    In JSON they can stand between tokens only, so it means the same. JSON without
    line breaks comes back as the same object.
    """
    if b"\n" in message or b"\r" in message:
        return message.translate(_BREAKS)
    return message
