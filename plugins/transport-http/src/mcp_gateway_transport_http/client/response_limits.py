"""Limits of responses of servers, in bytes and time."""

from __future__ import annotations

import asyncio

MAX_HEAD_BYTES = 64 << 10
"""The limit of bytes outside the body: head of a response, interim responses, trailers, chunk extensions."""

MAX_HEADERS = 128
"""How many header and trailer fields a response may have."""

MAX_MESSAGE_BYTES = (32 << 20) + (64 << 10)
"""The longest message in bytes, unless configured otherwise."""

PIECE_BYTES = 64 << 10
"""How many bytes are processed before other tasks run."""

_TURN_SECONDS = 0.005


class LimitExceeded(Exception):
    """A limit that a server has exceeded; the message names it."""


def too_long(what: str, max_bytes: int) -> LimitExceeded:
    """Return the error of a message with too many bytes."""
    return LimitExceeded(
        f"{what} has more than {max_bytes} bytes, which is all that GATEWAY_MAX_RESULT_BYTES lets through"
    )


class Turns:
    """Yields to other tasks regularly during long work.

    With `rest` each pause is as long as a turn, so that endless work takes at most half of the time.
    """

    def __init__(self, *, rest: bool = False) -> None:
        """Begin a turn."""
        self._rest = _TURN_SECONDS if rest else 0
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    async def pass_on(self) -> None:
        """Let other tasks run if this turn has lasted some milliseconds."""
        if self._loop.time() - self._began > _TURN_SECONDS:
            await asyncio.sleep(self._rest)
            self._began = self._loop.time()
