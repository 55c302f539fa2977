"""Limits of what is read of a server, in bytes and time."""

from __future__ import annotations

import asyncio

MAX_HEAD_BYTES = 64 << 10
"""How much may come without any of the body: the head of a response, interim responses, trailers, chunk extensions."""

MAX_HEADERS = 128
"""How many fields the head and the trailers of a response may have."""

MAX_MESSAGE_BYTES = (32 << 20) + (64 << 10)
"""The longest message that is read, unless the configuration says otherwise."""

PIECE_BYTES = 64 << 10
"""How much is worked on before others have their turn."""

_TURN_SECONDS = 0.005


class LimitExceeded(Exception):
    """A server sends more than is read; the words say of what."""


def too_long(what: str, max_bytes: int) -> LimitExceeded:
    """Say that something has more bytes than a message may have."""
    return LimitExceeded(
        f"{what} has more than {max_bytes} bytes, which is all that GATEWAY_MAX_RESULT_BYTES lets through"
    )


class Turns:
    """Gives others their turn, on time, during endless work.

    With `rest` it does nothing for as long as a turn lasts: what has no end takes half of the time at the most.
    """

    def __init__(self, *, rest: bool = False) -> None:
        """Begin a turn."""
        self._rest = _TURN_SECONDS if rest else 0
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    async def pass_on(self) -> None:
        """Let others run, if this turn has lasted for a few milliseconds."""
        if self._loop.time() - self._began > _TURN_SECONDS:
            await asyncio.sleep(self._rest)
            self._began = self._loop.time()
