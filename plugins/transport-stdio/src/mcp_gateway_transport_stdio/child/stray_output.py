"""Stray output of a child on stdout: skipped, counted and logged.

Stray lines are lines that are not messages.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

log = logging.getLogger(__name__)

_SHOWN = 200
_HINT = "only MCP messages belong on standard output; log to standard error"


@dataclass(slots=True)
class StrayOutput:
    """Counter of the lines of `program` that are not messages."""

    program: str
    lines: int = 0
    _next: int = 1

    def on_line(self, line: bytes) -> None:
        """Count a stray line; warn at powers of ten.

        These are the first line, the tenth, the hundredth and so on.
        """
        self.lines += 1
        if log.isEnabledFor(logging.DEBUG):
            text = line[:_SHOWN].decode("utf-8", "replace")
            log.debug("stray output", extra={"program": self.program, "line": text})
        if self.lines == self._next:
            self._next *= 10
            log.warning("stray output skipped", extra={"program": self.program, "lines": self.lines, "hint": _HINT})

    @property
    def summary(self) -> str:
        """The number of stray lines, as text."""
        return f"{self.lines} line{'' if self.lines == 1 else 's'} to standard output that are no MCP messages"
