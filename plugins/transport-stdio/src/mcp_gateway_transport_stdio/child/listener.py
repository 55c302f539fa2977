"""What hears of the pipes of a child process."""

from __future__ import annotations

from typing import Protocol

from mcp_gateway_transport_stdio.framing import LineSplitter


class ChildListener(Protocol):
    """Hears of the pipes of a child."""

    lines: LineSplitter
    """It is fed all that the child writes."""

    @property
    def has_answered(self) -> bool:
        """Whether the child has ever answered a request."""
        ...

    def on_writable(self) -> None:
        """Handle that the child reads again."""
        ...

    def on_eof(self) -> None:
        """Handle the end of the output: lines stay unfinished."""
        ...

    def on_end(self) -> None:
        """Handle the end of the session, once."""
        ...
