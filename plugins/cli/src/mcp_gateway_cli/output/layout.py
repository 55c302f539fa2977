"""Rows laid out in columns, or in blocks where needed.

No word is broken: a path or URL that is cut into lines cannot be copied.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mcp_gateway.text.wrapping import fill, measure, pad, split_chunks
from mcp_gateway_cli.output.tables import GAP, Row

_READABLE = 16
_MOST_LINES = 6
"""Prose is not made narrower than this, and a cell not higher."""


def lay_out(head: Row, rows: Sequence[Row], width: int, whole: Collection[str] = ()) -> RenderableType:
    """Return a table, or blocks where columns do not fit.

    Cells of columns in `whole` are never wrapped.
    """
    widths = _fit_widths(head, rows, width, whole)
    return _stack(head, rows, width, whole) if widths is None else _tabulate(head, rows, widths)


def _fit_widths(head: Row, rows: Sequence[Row], width: int, whole: Collection[str]) -> list[int] | None:
    """Return the widths of columns, or None if they do not fit.

    The widest columns give way first.
    """
    natural = [max(map(measure, column)) for column in zip(head, *rows, strict=True)]
    least = [
        size if name in whole else max(_find_longest(column), min(size, max(_READABLE, size // _MOST_LINES)))
        for name, size, column in zip(head, natural, zip(head, *rows, strict=True), strict=True)
    ]
    room = width - len(GAP) * (len(head) - 1)
    if sum(least) > room:
        return None
    widest = max(natural)
    while sum(_limit(natural, least, widest)) > room:
        widest -= 1
    return _limit(natural, least, widest)


def _find_longest(column: Row) -> int:
    return max((measure(chunk) for cell in column for chunk in split_chunks(cell)), default=0)


def _limit(natural: Sequence[int], least: Sequence[int], widest: int) -> list[int]:
    return [max(low, min(size, widest)) for size, low in zip(natural, least, strict=True)]


def _tabulate(head: Row, rows: Sequence[Row], widths: Sequence[int]) -> Table:
    # At the right of every column: releases of rich differ in how they count what is left out at the edges.
    table = Table(box=None, padding=(0, len(GAP), 0, 0), header_style="")
    for name, width in zip(head, widths, strict=True):
        table.add_column(name, width=width, no_wrap=True, overflow="ignore")
    for row in rows:
        # Wrapped here: rich would break words, and commands to type between theirs.
        table.add_row(*(Text("\n".join(fill(cell, width))) for cell, width in zip(row, widths, strict=True)))
    return table


def _stack(head: Row, rows: Sequence[Row], width: int, whole: Collection[str]) -> Text:
    """Return a block for each row, with an empty line between two."""
    margin = max(map(measure, head)) + len(GAP)
    lines: list[str] = []
    for number, row in enumerate(rows):
        lines += [""] if number else []
        for name, cell in _join_nameless(head, row):
            parts = [cell] if name in whole else fill(cell, width - margin)
            names = (name, *[""] * (len(parts) - 1))
            lines += [f"{pad(left, margin)}{part}" for left, part in zip(names, parts, strict=True) if cell]
    return Text("\n".join(lines))


def _join_nameless(head: Row, row: Row) -> Iterable[tuple[str, str]]:
    """Pair cells with their names.

    A mark without one stands beside its neighbour.
    """
    pairs: list[tuple[str, str]] = []
    mark = ""
    for name, cell in zip(head, row, strict=True):
        if name:
            pairs.append((name, f"{mark} {cell}" if mark else cell))
            mark = ""
        elif pairs and cell:
            pairs[-1] = pairs[-1][0], f"{pairs[-1][1]} {cell}"
        else:
            mark = cell
    return pairs
