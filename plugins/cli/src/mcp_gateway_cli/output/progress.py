"""Progress: a line on the terminal while something takes long."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Self

from mcp_gateway.control.terminal import complain, find_width, show_status
from mcp_gateway.runtime.terminal_styles import takes_styles

DELAY_SECONDS = 1.0
"""How long something may take before progress is shown."""

PLAIN_SECONDS = 2.0
"""How far apart lines are where none can be written again."""

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_FRAME_SECONDS = 0.1


class Progress(AbstractContextManager["Progress"]):
    """What is going on, shown on standard error.

    It appears after `DELAY_SECONDS`, only on a terminal: a line that is written again and disappears at the end, or,
    without control sequences, a line for what is new. Print nothing meanwhile.
    """

    def __init__(self, text: str) -> None:
        """Set the text."""
        self._text = text
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Begin to wait."""
        if find_width(sys.stderr) is not None:
            self._ended = threading.Event()
            draw = self._draw if takes_styles(sys.stderr) else self._list
            self._thread = threading.Thread(target=draw, daemon=True)
            self._thread.start()
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
        ended, frame = self._ended, 0
        if ended.wait(DELAY_SECONDS):
            return
        while True:
            show_status(f"{_FRAMES[frame % len(_FRAMES)]} {self._text}")
            frame += 1
            if ended.wait(_FRAME_SECONDS):
                show_status("")
                return

    def _list(self) -> None:
        """Print a line whenever there is something new."""
        ended, shown, wait = self._ended, "", DELAY_SECONDS
        while not ended.wait(wait):
            if self._text != shown:
                shown = self._text
                complain(shown)
            wait = PLAIN_SECONDS
