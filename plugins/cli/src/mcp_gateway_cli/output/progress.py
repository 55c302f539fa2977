"""Progress: a line on the terminal while something takes long."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mcp_gateway.control.terminal import complain, find_width, phrase
from mcp_gateway.runtime.terminal_styles import takes_styles
from mcp_gateway.text.characters import escape_line
from mcp_gateway.text.wrapping import cut_to_width

if TYPE_CHECKING:
    from rich.text import Text

DELAY_SECONDS = 1.0
"""How long something may take before progress is shown."""

PLAIN_SECONDS = 2.0
"""How far apart lines are where none can be written again."""

_LOOK_SECONDS = 0.1
_SPINNER_COLUMNS = 2


class Progress(AbstractContextManager["Progress"]):
    """What is going on, shown on standard error.

    It appears after `DELAY_SECONDS`, only on a terminal: a line that is written again and disappears at the end, or,
    without control sequences, a line for what is new. Print nothing meanwhile.

    With `tells_pipe` the first text is a plain line at once where there is no terminal: it may take minutes.
    """

    def __init__(self, text: str, *, tells_pipe: bool = False) -> None:
        """Set the text."""
        self._text = text
        self._tells_pipe = tells_pipe
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Begin to wait."""
        if find_width(sys.stderr) is not None:
            self._ended = threading.Event()
            draw = self._draw if takes_styles(sys.stderr) else self._list
            self._thread = threading.Thread(target=draw, daemon=True)
            self._thread.start()
        elif self._tells_pipe:
            complain(self._text)
        return self

    def update(self, text: str) -> None:
        """Replace the text."""
        self._text = text

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Remove the line during the block: a person is asked meanwhile."""
        self.__exit__(None, None, None)
        try:
            yield
        finally:
            self.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove the line."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._ended.set()
            thread.join()

    def _draw(self) -> None:
        """Write the line again and again, and remove it at the end."""
        ended = self._ended
        if ended.wait(DELAY_SECONDS):
            return
        from rich.console import Console

        console = Console(file=sys.stderr, force_terminal=True, highlight=False, markup=False)
        with console.status(self._cut(console.width)) as status:
            while not ended.wait(_LOOK_SECONDS):
                status.update(self._cut(console.width))

    def _cut(self, width: int) -> Text:
        """Return what of the text fits one line, which can be removed."""
        from rich.text import Text

        return Text(cut_to_width(escape_line(phrase(self._text)), width - _SPINNER_COLUMNS - 1))

    def _list(self) -> None:
        """Print a line whenever there is something new."""
        ended, shown, wait = self._ended, "", DELAY_SECONDS
        while not ended.wait(wait):
            if self._text != shown:
                shown = self._text
                complain(shown)
            wait = PLAIN_SECONDS
