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
    one request under way (`busy`) there is nothing to wait for.
    """

    requests_in_flight: int = 0
    _buffer: list[tuple[Sink, bytes]] = field(default_factory=list)

    def write(self, transport: Sink, data: bytes) -> None:
        """Send some bytes in a moment, or at once."""
        # Alone, it would only wait a turn of the loop for nobody.
        if self.requests_in_flight <= 1 and not self._buffer:
            transport.write(data)
            return
        if not self._buffer:
            asyncio.get_running_loop().call_soon(self.flush)
        self._buffer.append((transport, data))

    def flush(self) -> None:
        """Write all buffered data.

        Connections closed in the meantime are skipped.
        """
        waiting, self._buffer = self._buffer, []
        for transport, data in waiting:
            if not transport.is_closing():
                transport.write(data)
