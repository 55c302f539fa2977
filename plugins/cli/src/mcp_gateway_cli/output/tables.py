"""Tables that fit a terminal, and are plain text elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence

from mcp_gateway.control.terminal import find_width, phrase, show, show_styled
from mcp_gateway.runtime.terminal_styles import takes_styles
from mcp_gateway.text.characters import escape_line
from mcp_gateway.text.wrapping import measure, pad

_GAP = "  "

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
    return [_GAP.join(map(pad, row, widths)).rstrip() for row in rows]


def is_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def _render(head: Row, rows: Sequence[Row], width: int, whole: Collection[str]) -> str:
    from rich.console import Console

    from mcp_gateway_cli.output.layout import lay_out

    console = Console(force_terminal=takes_styles(sys.stdout), width=width, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(lay_out(head, rows, width, whole), no_wrap=True, overflow="ignore", crop=False)
    return "\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n"))
