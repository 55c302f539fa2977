"""Bodies that take long to read, in turns with everything else."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from mcp_gateway_transport_http.client.responses.codings import Decoder
from mcp_gateway_transport_http.client.responses.limits import PIECE_BYTES, TURN_SECONDS, LimitExceeded


class BodyOwner(Protocol):
    """Whose body it is."""

    def on_item(self, item: bytes) -> None:
        """Hear of one event, or of a piece of the decoded body."""
        ...

    def on_read(self, error: LimitExceeded | None) -> None:
        """Handle the end of the body, or why it cannot be read."""
        ...

    def set_turn_over(self, *, over: bool) -> None:
        """Stop reading the connection, or go on."""
        ...


class BodyReader:
    """Decodes and splits what comes, for a few milliseconds at a time.

    There may always be more to read: what has no end takes half of the time at the most.
    """

    def __init__(
        self, owner: BodyOwner, split: Callable[[bytes], Iterator[bytes]], decoder: Decoder | None = None
    ) -> None:
        """Begin; `split` yields what the owner hears of."""
        self._owner, self._split, self._decoder = owner, split, decoder
        self._backlog: deque[bytes] = deque()
        self._steps: Iterator[bytes | None] = iter(())
        self._timer: asyncio.TimerHandle | None = None
        self._is_running = self._has_ended = self._is_closed = False

    def feed(self, piece: bytes) -> None:
        """Read a piece: now, or when what came before has been read."""
        self._backlog.append(piece)
        self._run()

    def end(self) -> None:
        """Take note that nothing more will come."""
        self._has_ended = True
        self._run()

    def close(self) -> None:
        """Stop reading, without a callback."""
        self._is_closed = True
        self._backlog.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _run(self) -> None:
        if self._timer is not None or self._is_closed or self._is_running:
            return
        self._is_running = True
        try:
            self._work()
        except LimitExceeded as error:
            self.close()
            self._owner.on_read(error)
        finally:
            self._is_running = False

    def _work(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + TURN_SECONDS
        while True:
            for item in self._steps:
                if item is not None:
                    self._owner.on_item(item)
                if self._is_closed:
                    return
                if loop.time() > until:
                    self._owner.set_turn_over(over=True)
                    self._timer = loop.call_later(TURN_SECONDS, self._go_on)
                    return
            if not self._backlog:
                break
            self._steps = self._read(self._backlog.popleft())
        if self._has_ended:
            self._is_closed = True
            is_cut = self._decoder is not None and not self._decoder.is_finished
            self._owner.on_read(LimitExceeded("its compressed answer breaks off") if is_cut else None)

    def _go_on(self) -> None:
        self._timer = None
        self._run()
        if self._timer is None and not self._is_closed:
            self._owner.set_turn_over(over=False)

    def _read(self, piece: bytes) -> Iterator[bytes | None]:
        """Yield a piece's content, and None where others may run."""
        if self._decoder is None:
            parts = (piece[at : at + PIECE_BYTES] for at in range(0, len(piece), PIECE_BYTES))
        else:
            parts = (part for part in self._decoder.decode(piece))
        for part in parts:
            yield from self._split(part)
            yield None
