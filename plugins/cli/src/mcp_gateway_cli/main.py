"""Entry point: a window, or else the command line.

A window starts at once, so the command line is imported only where it is needed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from mcp_gateway_cli.shared.entry import is_window, run_window


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    is_typed = not words and sys.stdin is not None and sys.stdin.isatty()
    if not is_typed and is_window(words, os.environ):
        return run_window(os.environ)
    from mcp_gateway_cli.dispatch import run_words

    return run_words(words)
