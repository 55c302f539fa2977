"""A bound on the requests that a server has open to clients.

What is more is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

log = structlog.get_logger(__name__)

MAX_OPEN_REQUESTS = 100
"""How many requests of one server may be open, questions and pings: until the answer is written."""

MAX_OPEN_BYTES = 8 << 20
"""How much they may have; one alone may have more."""

MAX_REFUSALS = 100
"""How many refusals may wait to be written; what is more is not even refused."""

REFUSAL_SECONDS = 1.0
"""How long a refusal may take to be written."""


@dataclass(slots=True)
class OpenRequests:
    """Counts what a server has asked and has no answer to."""

    count: int = 0
    size: int = 0
    refused: int = 0
    refusals: int = 0

    def begin(self, size: int) -> bool:
        """Count a request of `size` bytes; False if it is too much."""
        if self.count >= MAX_OPEN_REQUESTS or (self.count and self.size + size > MAX_OPEN_BYTES):
            self._note_refusal()
            return False
        self.count, self.size = self.count + 1, self.size + size
        return True

    def end(self, size: int) -> None:
        """Forget a request that is answered, or taken back."""
        self.count, self.size = self.count - 1, self.size - size

    def _note_refusal(self) -> None:
        self.refused += 1
        # At powers of two only: what floods the session must not flood the log.
        if self.refused & (self.refused - 1) == 0:
            log.warning("server requests refused", reason="too many are open", requests=self.refused)
