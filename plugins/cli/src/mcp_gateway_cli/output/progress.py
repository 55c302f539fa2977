"""Progress: a line on the terminal while something takes long."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Any, Self

from mcp_gateway.text.characters import escape_line

DELAY_SECONDS = 1.0
"""How long something may take before progress is shown."""

_MAX_TEXT = 400


class Progress(AbstractContextManager["Progress"]):
    """A line on standard error that shows what is going on.

    It appears after `DELAY_SECONDS`, only on a terminal, and disappears at the end. Print nothing meanwhile.
    """

    def __init__(self, text: str) -> None:
        """Set the text."""
        self._text = text
        self._status: Any = None
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Begin to wait."""
        if sys.stderr is not None and sys.stderr.isatty():
            self._timer = threading.Timer(DELAY_SECONDS, self._begin)
            self._timer.daemon = True
            self._timer.start()
        return self

    def update(self, text: str) -> None:
        """Replace the text."""
        with self._lock:
            self._text = text
            if self._status is not None:
                self._status.update(_as_text(text))

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Remove the line during the block: a person is asked meanwhile."""
        self.__exit__(None, None, None)
        try:
            yield
        finally:
            self.__enter__()

    def _begin(self) -> None:
        from rich.console import Console

        with self._lock:
            if self._timer is None:
                return
            self._status = Console(stderr=True, highlight=False, markup=False).status(_as_text(self._text))
            self._status.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove the line."""
        with self._lock:
            timer, self._timer = self._timer, None
            if timer is not None:
                timer.cancel()
            if self._status is not None:
                self._status.stop()
                self._status = None


def _as_text(text: str) -> Any:
    """Make a text that rich does not read as markup."""
    from rich.text import Text

    return Text(escape_line(text[:_MAX_TEXT]))
