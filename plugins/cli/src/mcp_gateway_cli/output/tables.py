"""Tables that fit a terminal, and are plain text elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence

from mcp_gateway.control.terminal import find_width, phrase, show, show_styled
from mcp_gateway.runtime.terminal_styles import takes_styles
from mcp_gateway.text.characters import escape_line
from mcp_gateway.text.wrapping import measure, pad

GAP = "  "
_HEIGHT = 24

Row = Sequence[str]


def show_table(head: Row, rows: Sequence[Row], whole: Collection[str] = ()) -> None:
    """Print a table on standard output, its head only on a terminal.

    Piped, it has aligned columns and no colours, and a line a row. Cells of columns in `whole` are never wrapped: paths
    and commands are copied.
    """
    cells = [[escape_line(phrase(cell)) for cell in row] for row in rows]
    width = find_width(sys.stdout)
    if width is None:
        show(*align(cells))
    else:
        show_styled(_render(head, cells, width, whole))


def align(rows: Sequence[Row]) -> list[str]:
    """Return a line for each row, columns aligned."""
    widths = [max(map(measure, column)) for column in zip(*rows, strict=True)]
    return [GAP.join(map(pad, row, widths)).rstrip() for row in rows]


def is_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def _render(head: Row, rows: Sequence[Row], width: int, whole: Collection[str]) -> str:
    from rich.console import Console
    from rich.style import Style
    from rich.table import Table

    from mcp_gateway_cli.output.layout import lay_out

    laid_out = lay_out(head, rows, width, whole)
    # With room for the gap behind the last column; with a height, too, no release of rich takes a dumb terminal for one
    # of 80 columns.
    console = Console(width=width + len(GAP), height=_HEIGHT, force_terminal=False, highlight=False, markup=False)
    with console.capture() as captured:
        console.print(laid_out, no_wrap=True, overflow="ignore", crop=False)
    first, *others = (line.rstrip() for line in captured.get().rstrip("\n").split("\n"))
    # Styled without the spaces at its end, which may go beyond the terminal.
    if isinstance(laid_out, Table) and takes_styles(sys.stdout):
        first = Style(bold=True).render(first)
    return "\n".join((first, *others))
