"""Stray output of a child on stdout: skipped, counted and logged.

Stray lines are no messages; the log tells of them now and then.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

log = logging.getLogger(__name__)

_SHOWN = 200


@dataclass(slots=True)
class StrayOutput:
    """Counts the lines of `program` that are no messages."""

    program: str
    lines: int = 0
    _next: int = 1

    def on_line(self, line: bytes) -> None:
        """Count a stray line; warn at powers of ten.

        The warnings come with the first line, the tenth, the hundredth, and onwards.
        """
        self.lines += 1
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s wrote to standard output: %s", self.program, line[:_SHOWN].decode("utf-8", "replace"))
        if self.lines == self._next:
            self._next *= 10
            log.warning("%s wrote %s; they are skipped, and belong on standard error", self.program, self.summary)

    @property
    def summary(self) -> str:
        """The number of stray lines, as text."""
        return f"{self.lines} line{'' if self.lines == 1 else 's'} to standard output that are no MCP messages"
