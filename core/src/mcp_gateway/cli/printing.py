"""Printing for people: what servers say is shown, and never obeyed by the terminal."""

from __future__ import annotations

import re
import sys
from typing import TextIO

_COMMANDS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def show(text: str, file: TextIO | None = None) -> None:
    """Print a text; on a terminal without the characters that would move its cursor, or worse."""
    output = file or sys.stdout
    print(_COMMANDS.sub("", text) if output.isatty() else text, file=output)
