"""Write batching across connections.

The writes of one turn of the event loop go out together, and a process that reads them all is woken once.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Protocol


class Sink(Protocol):
    """A transport, or an object that is called in its turn."""

    def write(self, data: bytes) -> None:
        """Send some bytes."""
        ...

    def is_closing(self) -> bool:
        """Whether nothing can be sent any more."""
        ...


@dataclass(slots=True)
class WriteBatch:
    """Write buffer shared by connections, flushed once a loop turn.

    Waking a process that sleeps costs more than sending it a kilobyte. One that is still
    busy with the first message when the second comes need not be woken for it. With
    one request under way there is nothing to wait for, unless more of its response follows.
    """

    requests_in_flight: int = 0
    _buffer: dict[Sink, list[bytes]] = field(default_factory=dict)
    _has_more: bool = False
    # Asking for it takes a system call each time (Python 3.11).
    _loop: asyncio.AbstractEventLoop | None = None

    def write(self, transport: Sink, data: bytes, *, more: bool = False) -> None:
        """Send some bytes in a moment, or at once.

        `more`: others for the same transport may follow in the next turn of the loop.
        """
        # Alone, it would only wait a turn of the loop for nobody.
        if self.requests_in_flight <= 1 and not more and not self._buffer:
            transport.write(data)
            return
        self._has_more = self._has_more or more
        if not self._buffer:
            self._schedule()
        parts = self._buffer.get(transport)
        if parts is None:
            self._buffer[transport] = [data]
        else:
            parts.append(data)

    def _schedule(self) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._on_turn, self._loop)

    def _on_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Flush once no more follows in a turn."""
        if self._has_more:
            # What a server says before its response is here at once; that takes a turn, to wake a task.
            loop.call_soon(self.flush)
        else:
            self.flush()

    def flush(self) -> None:
        """Write all buffered data.

        Connections closed in the meantime are skipped.
        """
        waiting, self._buffer, self._has_more = self._buffer, {}, False
        for transport, parts in waiting.items():
            if not transport.is_closing():
                # One write, however many messages: each takes a system call.
                transport.write(parts[0] if len(parts) == 1 else b"".join(parts))
