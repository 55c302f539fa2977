"""Tables that fit a terminal, and are plain text elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from mcp_gateway.control.terminal import phrase, show
from mcp_gateway.text.characters import escape_line


def show_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on standard output, its head only on a terminal.

    Piped, it has aligned columns and no colours, and a line a row.
    """
    if is_terminal():
        _show_rich(head, rows)
    else:
        show(*format_rows([[phrase(cell) for cell in row] for row in rows]))


def format_rows(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a line for each row, columns aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def is_terminal() -> bool:
    """Whether standard output is a terminal that takes control sequences."""
    return sys.stdout is not None and sys.stdout.isatty()


def _show_rich(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for name in head:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(escape_line(phrase(cell))) for cell in row))
    Console(highlight=False).print(table)
