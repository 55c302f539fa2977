"""Arrays of objects, as tables."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from mcp_gateway.control.terminal import show, show_json
from mcp_gateway_cli.output.tables import show_table

Json = dict[str, Any]

MAX_COLUMNS = 8
"""More columns are no table that can be read."""

_MAX_CELL = 300
_SCALARS = (str, int, float, bool, type(None))


@dataclass(frozen=True, slots=True)
class Records:
    """Objects of one array, and the scalars that stand beside it."""

    rows: tuple[Json, ...]
    beside: Json

    @property
    def columns(self) -> list[str]:
        """The keys of all rows, in the order in which they come."""
        return list(dict.fromkeys(key for row in self.rows for key in row))


def find_records(value: object) -> Records | None:
    """Return the only array of objects in a value, or None."""
    if isinstance(value, list):
        return _make_records(value, {})
    if not isinstance(value, dict):
        return None
    beside = {key: item for key, item in value.items() if isinstance(item, _SCALARS)}
    arrays = [item for key, item in value.items() if key not in beside]
    return _make_records(arrays[0], beside) if len(arrays) == 1 else None


def _make_records(value: object, beside: Json) -> Records | None:
    if not isinstance(value, list) or not value or not all(isinstance(row, dict) and row for row in value):
        return None
    found = Records(tuple(value), beside)
    return found if len(found.columns) <= MAX_COLUMNS else None


def show_records(records: Records) -> None:
    """Print a table, and what stands beside it."""
    columns = records.columns
    show_table(columns, [[_format_cell(row.get(column)) for column in columns] for row in records.rows])
    show(*(f"{key}: {_format_cell(value)}" for key, value in records.beside.items()))


def show_value(value: Any) -> None:
    """Print a value as a table, or else as indented JSON."""
    records = find_records(value)
    if records is not None:
        show_records(records)
    else:
        show_json(value, indent=2)


def _format_cell(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_CELL else f"{text[:_MAX_CELL]}…"
