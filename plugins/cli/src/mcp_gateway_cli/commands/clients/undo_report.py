"""What `undo` says of commands and of files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import Any

from mcp_gateway.control.report import complain_error
from mcp_gateway.control.terminal import show, show_json
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway_cli.clients.machine import Machine
from mcp_gateway_cli.commands.clients.report import plural
from mcp_gateway_cli.editing.journal import Batch, Edit
from mcp_gateway_cli.output.tables import show_table

_MOST_TARGETS = 8


class Outcome(StrEnum):
    """What became of a file, in words for people."""

    RESTORED = "put back"
    REMOVED = "removed again"
    MERGED = "rid of the gateway, its servers put back"
    SAME = "as before already"
    KEPT = "left as it is now"

    @classmethod
    def of(cls, edit: Edit) -> Outcome:
        """Return what undoing an edit makes of its file."""
        return cls.REMOVED if edit.backup is None else cls.RESTORED


@dataclass(frozen=True, slots=True)
class Undone:
    """An edit that was undone, and what became of its file."""

    edit: Edit
    outcome: Outcome


def show_list(batches: Sequence[list[Edit]], machine: Machine) -> None:
    """Print a row for each run of a command, the newest first."""
    rows = [
        (f"{edits[0].time:%Y-%m-%d %H:%M:%S} UTC", describe_batch(edits[0].batch), _list_files(machine, edits))
        for edits in reversed(batches)
    ]
    show_table(("when", "command", "files"), rows)


def show_json_list(batches: Sequence[list[Edit]]) -> None:
    """Print the same as JSON."""
    show_json({"changes": [_write_batch(edits) for edits in reversed(batches)]})


def show_nothing(machine: Machine, named: Path | None, others: int) -> None:
    """Print that nothing can be undone, for a named file perhaps."""
    about = f" for {machine.shorten(named)}" if named else ""
    more = f"; {plural(others, 'change')} made for other files can be undone" if others else ""
    show(f"there is nothing to undo{about}{more}")


def describe_batch(batch: Batch) -> str:
    """Describe a command and what it was about, in a few words."""
    targets = list(batch.targets)
    more = len(targets) - _MOST_TARGETS
    if more > 0:
        targets[_MOST_TARGETS:] = [f"{more} more"]
    return f"{batch.verb} {', '.join(targets)}".rstrip()


def write_question(machine: Machine, batches: Iterable[list[Edit]]) -> str:
    """Return the question whether all this is to be undone."""
    first: dict[Path, Edit] = {}
    for edits in batches:
        for edit in edits:
            first.setdefault(edit.path, edit)
    made = [machine.shorten(path) for path, edit in first.items() if edit.backup is None]
    back = len(first) - len(made)
    words = [f"put {plural(back, 'file')} back as before"] if back else []
    words += [f"remove {', '.join(made)}, which {'was' if len(made) == 1 else 'were'} not there"] if made else []
    return f"{', and '.join(words)}?"


def show_undone(machine: Machine, undone: Sequence[Undone], problems: Sequence[str], left: int) -> None:
    """Print what became of each file, by commands."""
    for batch, run in groupby(undone, lambda each: each.edit.batch):
        show(f"{describe_batch(batch)}:")
        show(*(f"  {machine.shorten(each.edit.path)} is {each.outcome}" for each in run))
    show(_count(undone) if undone else "nothing was put back")
    complain_error(*problems)
    if left and not problems:
        show(f"{plural(left, 'earlier change')} can be undone, too: {NAME} undo --list")


def _count(undone: Iterable[Undone]) -> str:
    """Count the files by what has become of them."""
    last: dict[Path, Outcome] = {}
    for each in undone:
        if each.edit.path not in last or each.outcome is not Outcome.SAME:
            last[each.edit.path] = each.outcome
    outcomes = list(last.values())
    counts = [(outcomes.count(outcome), outcome) for outcome in Outcome if outcome in outcomes]
    (count, outcome), *others = counts
    return ", ".join([f"{plural(count, 'file')} {outcome}", *(f"{number} {each}" for number, each in others)])


def _list_files(machine: Machine, edits: Iterable[Edit]) -> str:
    return ", ".join(machine.shorten(path) for path in dict.fromkeys(edit.path for edit in edits))


def _write_batch(edits: Sequence[Edit]) -> dict[str, Any]:
    batch = edits[0].batch
    return {
        "time": edits[0].time.isoformat(),
        "command": batch.verb,
        "targets": list(batch.targets),
        "config": str(batch.configuration) if batch.configuration else None,
        "files": [str(edit.path) for edit in edits],
    }
