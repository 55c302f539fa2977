"""Tables that fit a terminal, and are plain text elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence

from mcp_gateway.control.terminal import find_width, phrase, show, show_heading
from mcp_gateway.text.characters import escape_line
from mcp_gateway_cli.output.layout import align, lay_out


def show_table(head: Sequence[str], rows: Sequence[Sequence[str]], whole: Collection[str] = ()) -> None:
    """Print a table on standard output, its head only on a terminal.

    Piped, it has aligned columns and no colours, and a line a row. Cells of columns in `whole` are never wrapped: paths
    and commands are copied.
    """
    cells = [[escape_line(phrase(cell)) for cell in row] for row in rows]
    width = find_width(sys.stdout)
    if width is None:
        show(*align(cells))
        return
    title, lines = lay_out(head, cells, width, whole)
    if title:
        show_heading(title)
    show(*lines, wraps=False)


def is_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()
