"""Line framing of JSON for pipes and event streams."""

from __future__ import annotations

_BREAKS = bytes.maketrans(b"\r\n", b"  ")


def to_line(message: bytes) -> bytes:
    """Return JSON without line breaks, each of which becomes a space.

    In JSON, raw line breaks can occur only between tokens, so the value stays the same. JSON without line breaks is
    returned as the same object.
    """
    if b"\n" in message or b"\r" in message:
        return message.translate(_BREAKS)
    return message
