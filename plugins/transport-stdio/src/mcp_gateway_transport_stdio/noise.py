"""What a child writes to its standard output though it is no message: skipped, counted, and told now and then."""

from __future__ import annotations

import logging
from dataclasses import dataclass

log = logging.getLogger(__name__)

_SHOWN = 200


@dataclass(slots=True)
class Noise:
    """Counts the lines of `program` that are no messages."""

    program: str
    lines: int = 0
    _next: int = 1

    def heard(self, line: bytes) -> None:
        """Take note of a line; tell of the first, the tenth, the hundredth and so on."""
        self.lines += 1
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s wrote to standard output: %s", self.program, line[:_SHOWN].decode("utf-8", "replace"))
        if self.lines == self._next:
            self._next *= 10
            log.warning("%s wrote %s; they are skipped, and belong on standard error", self.program, self.in_words)

    @property
    def in_words(self) -> str:
        """How much there was."""
        return f"{self.lines} line{'' if self.lines == 1 else 's'} to standard output that are no MCP messages"
