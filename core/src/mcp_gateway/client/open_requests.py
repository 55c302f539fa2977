"""A bound on the open requests of a server to its clients.

Requests beyond it are rejected with an error.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

log = structlog.get_logger(__name__)

MAX_OPEN_REQUESTS = 100
"""How many requests of one server, pings included, may be open. They are open until the response is written."""

MAX_OPEN_BYTES = 8 << 20
"""How many bytes the open requests may have in all; a single one may be larger."""

MAX_REFUSALS = 100
"""How many rejections may wait to be written; requests beyond it get no response."""

REFUSAL_SECONDS = 1.0
"""How long writing a rejection may take; after that it is dropped, because the server does not read."""


@dataclass(slots=True)
class OpenRequests:
    """Counter of a server's unanswered requests."""

    count: int = 0
    size: int = 0
    refused: int = 0
    refusals: int = 0

    def begin(self, size: int) -> bool:
        """Count a request of `size` bytes, if no limit forbids it.

        Returns False if a limit is exceeded.
        """
        if self.count >= MAX_OPEN_REQUESTS or (self.count and self.size + size > MAX_OPEN_BYTES):
            self._note_refusal()
            return False
        self.count, self.size = self.count + 1, self.size + size
        return True

    def end(self, size: int) -> None:
        """Remove a request of `size` bytes that was answered or cancelled."""
        self.count, self.size = self.count - 1, self.size - size

    def _note_refusal(self) -> None:
        self.refused += 1
        # Logged at powers of two only: a server that floods the session must not flood the log.
        if self.refused & (self.refused - 1) == 0:
            log.warning("server requests refused", reason="too many are open", requests=self.refused)
