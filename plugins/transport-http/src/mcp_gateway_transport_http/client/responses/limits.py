"""Limits of responses of servers, in bytes and time."""

from __future__ import annotations

MAX_HEAD_BYTES = 64 << 10
"""The limit of bytes outside the body: head of a response, interim responses, trailers, chunk extensions."""

MAX_HEADERS = 128
"""How many header and trailer fields a response may have."""

MAX_MESSAGE_BYTES = (32 << 20) + (64 << 10)
"""The longest message in bytes, unless configured otherwise."""

PIECE_BYTES = 64 << 10
"""How many bytes are processed before other tasks run."""

TURN_SECONDS = 0.005
"""How long one response may be worked on before others have their turn, for as long."""


class LimitExceeded(Exception):
    """A message beyond a limit, or one that cannot be read.

    The words say which limit.
    """


def too_long(what: str, max_bytes: int) -> LimitExceeded:
    """Return the error of a message with too many bytes."""
    return LimitExceeded(
        f"{what} has more than {max_bytes} bytes, which is all that GATEWAY_MAX_RESULT_BYTES lets through"
    )
