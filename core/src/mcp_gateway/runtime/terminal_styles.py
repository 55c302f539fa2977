"""Styles of terminals: colours and weights of letters."""

from __future__ import annotations

import os
from typing import TextIO


def takes_styles(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal that may get control sequences."""
    is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return stream is not None and stream.isatty() and not is_plain
