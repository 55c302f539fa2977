"""Limits of what is read of a server, in bytes and time."""

from __future__ import annotations

MAX_HEAD_BYTES = 64 << 10
"""How much may come without any of the body: the head of a response, interim responses, trailers, chunk extensions."""

MAX_HEADERS = 128
"""How many fields the head and the trailers of a response may have."""

MAX_MESSAGE_BYTES = (32 << 20) + (64 << 10)
"""The longest message that is read, unless the configuration says otherwise."""

PIECE_BYTES = 64 << 10
"""How much is worked on before others have their turn."""

TURN_SECONDS = 0.005
"""How long one response may be worked on before others have their turn, for as long."""


class LimitExceeded(Exception):
    """A server sends more than is read, or what cannot be; the words say of what."""


def too_long(what: str, max_bytes: int) -> LimitExceeded:
    """Say that something has more bytes than a message may have."""
    return LimitExceeded(
        f"{what} has more than {max_bytes} bytes, which is all that GATEWAY_MAX_RESULT_BYTES lets through"
    )
